// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.RegularExpressions;

namespace Pronghorn.Tidy.Tests.Rules;

/// <summary>What holds for the characters of a file, whatever its language.</summary>
public static class TextRules
{
    public const int MaximumColumns = 140;

    private const string ApacheLine = "// SPDX-License-Identifier: Apache-2.0";
    private const string KernelLine = "// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause";
    private const string ScriptLine = "# SPDX-License-Identifier: Apache-2.0";

    // Put together here, so that this file does not break its own rules.
    private static readonly Regex s_unfinished = new("\\b(" + "TO" + "DO|FIX" + "ME|XX" + "X|HA" + "CK)\\b");

    private static readonly Regex s_machinePath =
        new("(?<![\\w.~/-])/(wo" + "rk|ro" + "ot|ho" + "me/\\w+|tmp/ar" + "t-\\w+|tmp/br" + "ief)(?=[/\\s\"'`;:)]|$)");

    /// <summary>Every source file says its licence on its first line, a script on its second.</summary>
    public static IEnumerable<Finding> Licence(SourceFile file)
    {
        bool isScript = file.Text.StartsWith("#!", StringComparison.Ordinal);
        if (isScript)
        {
            if (file.Lines.ElementAtOrDefault(1) != ScriptLine)
            {
                yield return new Finding(file.Path, 2, $"the second line of a script is '{ScriptLine}'");
            }
        }
        else if (file.IsCSharp || file.IsNative)
        {
            string expected = file.Room == "bpf" ? KernelLine : ApacheLine;

            // Assemblers and old compilers include headers too: there the kernel's style is a block comment.
            bool isBlock = file.Extension == ".h" && file.Lines[0] == $"/*{expected[2..]} */";
            if (file.Lines[0] != expected && !isBlock)
            {
                yield return new Finding(file.Path, 1, $"the first line is '{expected}'");
            }
        }
    }

    /// <summary>
    /// No tabs, trailing blanks, carriage returns or over-long lines; a line feed at the end. BPF programs are indented as the
    /// kernel's sources are: with tabs.
    /// </summary>
    public static IEnumerable<Finding> Layout(SourceFile file)
    {
        bool isCode = file.IsCSharp || file.IsNative || file.Extension is ".def" or ".sh";
        for (int index = 0; index < file.Lines.Length; index++)
        {
            string line = file.Lines[index];
            string indented = file.Room == "bpf" ? line.TrimStart('\t') : line;
            if (indented.Contains('\t', StringComparison.Ordinal))
            {
                yield return new Finding(file.Path, index + 1, "a tab; indent with spaces");
            }

            if (line.Length > 0 && char.IsWhiteSpace(line[^1]))
            {
                yield return new Finding(file.Path, index + 1, "white space at the end of the line");
            }

            if (line.Length > MaximumColumns && isCode)
            {
                yield return new Finding(file.Path, index + 1, $"{line.Length} columns; at most {MaximumColumns}");
            }
        }

        if (file.Text.Length > 0 && !file.Text.EndsWith('\n'))
        {
            yield return new Finding(file.Path, file.Lines.Length, "no line feed at the end of the file");
        }
    }

    /// <summary>Unfinished work belongs in the tracker; prose may speak of the rule.</summary>
    public static IEnumerable<Finding> Unfinished(SourceFile file) => file.Extension == ".md"
        ? []
        : Matches(file, s_unfinished, "unfinished work is marked in the text; finish it or file an issue");

    /// <summary>Paths of one machine mean nothing on another.</summary>
    public static IEnumerable<Finding> MachinePath(SourceFile file) =>
        Matches(file, s_machinePath, "a path of somebody's machine");

    private static IEnumerable<Finding> Matches(SourceFile file, Regex expression, string problem) =>
        from index in Enumerable.Range(0, file.Lines.Length)
        where expression.IsMatch(file.Lines[index])
        select new Finding(file.Path, index + 1, problem);
}
