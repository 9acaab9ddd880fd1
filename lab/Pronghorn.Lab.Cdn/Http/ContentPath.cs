// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers;
using System.Globalization;

namespace Pronghorn.Lab.Cdn.Http;

/// <summary>What a path names: /file/NAME/BYTES, or /live/NAME[/MBIT[/SECONDS]].</summary>
/// <param name="Name">Name of the content: it decides which node has it.</param>
/// <param name="IsLive">Whether it is a stream, paced as it is made.</param>
/// <param name="Size">Bytes of a file.</param>
/// <param name="Megabits">Rate of a stream, Mbit/s.</param>
/// <param name="Seconds">Length of a stream.</param>
public sealed record ContentPath(string Name, bool IsLive, long Size, int Megabits, int Seconds)
{
    /// <summary>Largest file.</summary>
    public const long MaximumSize = 1L << 30;

    private const int DefaultMegabits = 4;
    private const int DefaultSeconds = 86_400;
    private const int LongestName = 128;

    private static readonly SearchValues<char> s_nameCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");

    /// <summary>Reads a path; null when it names nothing (404).</summary>
    public static ContentPath? Read(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return path.Split('/') switch
        {
            ["", "file", string name, string size] when IsName(name) && TryNumber(size, 0, MaximumSize, out long bytes) =>
                new ContentPath(name, false, bytes, 0, 0),
            ["", "live", string name] when IsName(name) => new ContentPath(name, true, 0, DefaultMegabits, DefaultSeconds),
            ["", "live", string name, string rate] when IsName(name) && TryNumber(rate, 1, 1000, out long megabits) =>
                new ContentPath(name, true, 0, (int)megabits, DefaultSeconds),
            ["", "live", string name, string rate, string length]
                when IsName(name) && TryNumber(rate, 1, 1000, out long megabits)
                    && TryNumber(length, 1, DefaultSeconds, out long seconds) =>
                new ContentPath(name, true, 0, (int)megabits, (int)seconds),
            _ => null,
        };
    }

    private static bool IsName(string name) =>
        name.Length is > 0 and <= LongestName && name.AsSpan().IndexOfAnyExcept(s_nameCharacters) < 0;

    private static bool TryNumber(string text, long least, long most, out long number) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number >= least && number <= most;
}
