// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers;
using System.Globalization;

namespace Pronghorn.Lab.Cdn.Http;

/// <summary>What a path names: /file/NAME/BYTES, /live/NAME[/MBIT[/SECONDS]], or /media/NAME[/KBIT].</summary>
/// <param name="Name">Name of the content: it decides which node has it.</param>
/// <param name="IsMedia">Whether it is a file of the folder of media; otherwise it is generated.</param>
/// <param name="IsLive">Whether it is a stream, paced as it is made.</param>
/// <param name="Size">Bytes of a generated content; of media, what the file has.</param>
/// <param name="Rate">Rate of a stream, bit/s.</param>
public sealed record ContentPath(string Name, bool IsMedia, bool IsLive, long Size, long Rate)
{
    /// <summary>How often a stream sends, ms: what has been made meanwhile.</summary>
    public const int PeriodMilliseconds = 40;

    /// <summary>Largest file.</summary>
    public const long MaximumSize = 1L << 30;

    private const int DefaultMegabits = 4;
    private const int DefaultSeconds = 86_400;
    private const int LongestName = 128;

    private static readonly SearchValues<char> s_nameCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");

    /// <summary>What a stream makes within a period, bytes.</summary>
    public int Step => (int)(Rate / 8 * PeriodMilliseconds / 1000);

    /// <summary>Reads a path; null when it names nothing (404).</summary>
    public static ContentPath? Read(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return path.Split('/') switch
        {
            ["", "file", string name, string size] when IsName(name) && TryNumber(size, 0, MaximumSize, out long bytes) =>
                new ContentPath(name, false, false, bytes, 0),
            ["", "live", string name] when IsName(name) => Live(name, DefaultMegabits, DefaultSeconds),
            ["", "live", string name, string rate] when IsName(name) && TryNumber(rate, 1, 1000, out long megabits) =>
                Live(name, megabits, DefaultSeconds),
            ["", "live", string name, string rate, string length]
                when IsName(name) && TryNumber(rate, 1, 1000, out long megabits)
                    && TryNumber(length, 1, DefaultSeconds, out long seconds) =>
                Live(name, megabits, seconds),
            ["", "media", string name] when IsFileName(name) => new ContentPath(name, true, false, 0, 0),
            ["", "media", string name, string rate] when IsFileName(name) && TryNumber(rate, 1, 1_000_000, out long kilobits) =>
                new ContentPath(name, true, true, 0, kilobits * 1000),
            _ => null,
        };
    }

    private static ContentPath Live(string name, long megabits, long seconds)
    {
        var path = new ContentPath(name, false, true, 0, megabits * 1_000_000);
        return path with { Size = seconds * 1000 / PeriodMilliseconds * path.Step };
    }

    private static bool IsName(string name) =>
        name.Length is > 0 and <= LongestName && name.AsSpan().IndexOfAnyExcept(s_nameCharacters) < 0;

    /// <summary>A name has no slash, so that it leads out of its folder only as "..": none that begins with a point is a file's.</summary>
    private static bool IsFileName(string name) => IsName(name) && name[0] != '.';

    private static bool TryNumber(string text, long least, long most, out long number) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number >= least && number <= most;
}
