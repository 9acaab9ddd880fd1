// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.RegularExpressions;

namespace Pronghorn.Lab;

/// <summary>
/// Compares numbers with what the C compiler makes of the headers, for the machine's own architecture or another: nothing is run,
/// so that the layouts of arm64 can be checked on x86-64.
/// </summary>
public static partial class HeaderCheck
{
    /// <summary>Triple of 64-bit x86.</summary>
    public const string X64 = "x86_64-linux-gnu";

    /// <summary>Triple of 64-bit Arm. Its headers come with Debian's libc6-dev-arm64-cross.</summary>
    public const string Arm64 = "aarch64-linux-gnu";

    /// <summary>The comparisons that fail, each with the compiler's words, in their order.</summary>
    /// <param name="target">Triple to compile for.</param>
    /// <param name="prologue">What stands before: #include lines and declarations.</param>
    /// <param name="includeDirectories">Where its quoted headers are.</param>
    /// <param name="stated">Integer constant expressions of C, each with the value that it should have.</param>
    /// <exception cref="LabException">The compiler is missing, or what it is given is wrong in another way.</exception>
    public static IReadOnlyList<string> Mismatches(
        string target,
        string prologue,
        IReadOnlyList<string> includeDirectories,
        IEnumerable<KeyValuePair<string, long>> stated)
    {
        StringBuilder source = new(prologue);
        source.AppendLine().AppendLine("#define STATED(expression, value) _Static_assert((expression) == (value), #expression)");
        foreach ((string expression, long value) in stated)
        {
            source.AppendLine(CultureInfo.InvariantCulture, $"STATED({expression}, {value});");
        }

        // What is wrong with the source shows as an error that is no failed assertion.
        string file = Path.Combine(Directory.CreateTempSubdirectory("pronghorn-headers-").FullName, "check.c");
        try
        {
            File.WriteAllText(file, source.ToString());
            LabOutput output = LabCommand.TryRun("clang", [.. Options(target, includeDirectories), file]);
            string[] errors = [.. output.Error.Split('\n').Where(line => line.Contains("error:", StringComparison.Ordinal))];
            string[] failed = [.. errors.Select(line => StaticAssertion().Match(line).Value).Where(words => words.Length > 0)];
            return failed.Length == errors.Length && (output.ExitCode == 0 || errors.Length > 0)
                ? failed
                : throw new LabException($"clang --target={target} ended with {output.ExitCode}: {output.Error.Trim()}");
        }
        finally
        {
            Directory.Delete(Path.GetDirectoryName(file)!, recursive: true);
        }
    }

    private static IEnumerable<string> Options(string target, IReadOnlyList<string> includeDirectories)
    {
        yield return $"--target={target}";
        yield return "-fsyntax-only";
        yield return "-ferror-limit=0";
        yield return "-w";
        if (Directory.Exists($"/usr/{target}/include"))
        {
            yield return "-isystem";
            yield return $"/usr/{target}/include";
        }

        foreach (string directory in includeDirectories)
        {
            yield return "-I" + directory;
        }
    }

    [GeneratedRegex("(?<=static_assert failed|static assertion failed).*")]
    private static partial Regex StaticAssertion();
}
