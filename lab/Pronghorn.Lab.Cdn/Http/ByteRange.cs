// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;

namespace Pronghorn.Lab.Cdn.Http;

/// <summary>What a request's Range field asks of a content (RFC 9110, 14.1.2).</summary>
/// <param name="Offset">Its first byte.</param>
/// <param name="Length">How many.</param>
public readonly record struct ByteRange(long Offset, long Length)
{
    private const string Unit = "bytes=";

    /// <summary>
    /// Reads the field. <paramref name="isSatisfiable"/> is false when it begins behind the end (416). False, and all of the content is
    /// to be sent, when there is none, or it is of another unit, wrong, or of several ranges.
    /// </summary>
    public static bool TryRead(string? field, long size, out ByteRange range, out bool isSatisfiable)
    {
        range = new ByteRange(0, size);
        isSatisfiable = true;
        if (field is null || !field.StartsWith(Unit, StringComparison.OrdinalIgnoreCase))
        {
            return false;
        }

        string[] ends = field[Unit.Length..].Split('-');
        if (ends.Length != 2 || !TryNumber(ends[0], out long? first) || !TryNumber(ends[1], out long? last)
            || (first is null && last is null) || last < first)
        {
            return false;
        }

        if (first is null)
        {
            long suffix = Math.Min(last!.Value, size);
            range = new ByteRange(size - suffix, suffix);
            isSatisfiable = suffix > 0;
            return true;
        }

        isSatisfiable = first < size;
        range = new ByteRange(first.Value, Math.Max(0, Math.Min(last ?? long.MaxValue - 1, size - 1) - first.Value + 1));
        return true;
    }

    private static bool TryNumber(string text, out long? number)
    {
        number = null;
        if (text.Trim().Length == 0)
        {
            return true;
        }

        bool isNumber = long.TryParse(text.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out long read);
        number = read;
        return isNumber;
    }
}
