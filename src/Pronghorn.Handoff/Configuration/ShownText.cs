// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.Linq;
using System.Text;

namespace Pronghorn.Handoff.Configuration;

/// <summary>Text of a file as a message may have it: a terminal must not be steered by what a file has in it, nor filled.</summary>
public static class ShownText
{
    /// <summary>Most characters of a file in a message; the longest path or address that anybody writes is shorter.</summary>
    public const int Longest = 100;

    /// <summary>Whether it has a control character but the tabulator, as no name, path or address of a configuration has.</summary>
    /// <param name="text">Text of any length.</param>
    public static bool HasControl(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.Any(static one => char.IsControl(one) && one != '\t');
    }

    /// <summary>In quotation marks, as <see cref="Of"/>.</summary>
    /// <param name="text">Text of any length.</param>
    public static string Quote(string text) => Show(text, "\"");

    /// <summary>With escapes for what is no printable text; where it is long, its beginning and how long it is.</summary>
    /// <param name="text">Text of any length.</param>
    public static string Of(string text) => Show(text, "");

    private static string Show(string text, string mark)
    {
        ArgumentNullException.ThrowIfNull(text);
        // Cut first: of a file of a gigabyte nothing else is looked at.
        string shown = Escape(text.Length > Longest ? text[..Longest] : text);
        return text.Length > Longest
            ? string.Create(CultureInfo.InvariantCulture, $"{mark}{shown}...{mark} ({text.Length} characters)")
            : mark + shown + mark;
    }

    private static string Escape(string text)
    {
        var escaped = new StringBuilder();
        foreach (Rune one in text.EnumerateRunes())
        {
            if (!IsEscaped(one))
            {
                escaped.Append(one.ToString());
            }
            else if (one.Value <= byte.MaxValue)
            {
                escaped.Append(CultureInfo.InvariantCulture, $"\\x{one.Value:x2}");
            }
            else
            {
                escaped.Append(CultureInfo.InvariantCulture, $"\\u{{{one.Value:x}}}");
            }
        }

        return escaped.ToString();
    }

    // Those of the format turn the direction of what stands behind them, or cannot be seen.
    private static bool IsEscaped(Rune one) => Rune.GetUnicodeCategory(one) is
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;
}
