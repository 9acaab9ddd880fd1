// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using Pronghorn.Linux;

namespace Pronghorn.Runtime.Statistics;

/// <summary>Reads another process's page. What is there is checked, not believed: the owner may be anything.</summary>
public sealed class StatisticsReader : IDisposable
{
    private const int Attempts = 1000;
    private static readonly int s_requestOffset = (int)Marshal.OffsetOf<StatisticsHeader>(nameof(StatisticsHeader.Request));

    private readonly SharedFile _file;

    private StatisticsReader(SharedFile file) => _file = file;

    /// <summary>The user that the page belongs to. Whoever reads it for a process compares it with the process's.</summary>
    public uint Owner => _file.Owner;

    /// <summary>Whether this process may ask the owner for fresh content.</summary>
    public bool CanRequest => _file.CanWrite;

    /// <summary>Opens a page.</summary>
    /// <returns>
    /// 0; a negative error number of <see cref="SharedFile.Open"/>; or -EPROTO (-71) when it is not a page of this version.
    /// </returns>
    public static int Open(string path, out StatisticsReader? reader)
    {
        const int ProtocolError = -71;
        reader = null;
        int result = SharedFile.Open(path, out SharedFile? file);
        if (result < 0 || file == null)
        {
            return result;
        }

        var made = new StatisticsReader(file);
        if (file.Length != StatisticsWriter.PageLength || !made.TryReadHeader(out StatisticsHeader header)
            || header.Magic != StatisticsPage.Magic || header.Version != StatisticsPage.Version)
        {
            made.Dispose();
            return ProtocolError;
        }

        reader = made;
        return 0;
    }

    /// <summary>Asks the owner for fresh content.</summary>
    /// <returns>What <see cref="IsAnswered"/> takes. Of two readers at once, one answer serves both.</returns>
    public uint Request()
    {
        _ = TryReadHeader(out StatisticsHeader header);
        uint request = header.Request + 1;
        _ = _file.TryWrite(s_requestOffset, MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in request)));
        return request;
    }

    /// <summary>Whether the owner has answered a request. An idle program answers when it next runs or is about to sleep.</summary>
    public bool IsAnswered(uint request) =>
        TryReadHeader(out StatisticsHeader header) && (int)(header.Answered - request) >= 0;

    /// <summary>Copies the content as it was at one moment.</summary>
    /// <returns>False when the owner kept writing, died while it wrote, or cut the page short.</returns>
    public bool TryRead(out StatisticsHeader header, out StatisticsCounter[] counters, out StatisticsRow[] rows)
    {
        for (int attempt = 0; attempt < Attempts && TryReadHeader(out header); attempt++)
        {
            if ((header.Sequence & 1) == 0)
            {
                counters = new StatisticsCounter[Math.Clamp(header.CounterCount, 0, StatisticsPage.MaximumCounters)];
                rows = new StatisticsRow[Math.Clamp(header.RowCount, 0, StatisticsPage.MaximumRows)];
                bool whole = _file.TryRead(Unsafe.SizeOf<StatisticsHeader>(), MemoryMarshal.AsBytes(counters.AsSpan()))
                    && _file.TryRead(StatisticsWriter.RowsOffset, MemoryMarshal.AsBytes(rows.AsSpan()))
                    && TryReadHeader(out StatisticsHeader after) && after.Sequence == header.Sequence;
                if (whole)
                {
                    return true;
                }
            }

            Thread.Yield();
        }

        header = default;
        counters = [];
        rows = [];
        return false;
    }

    /// <summary>A counter's name as text: what no name of a counter contains, such as a terminal's escapes, shows as '?'.</summary>
    public static string NameOf(in StatisticsCounter counter)
    {
        Span<byte> bytes = stackalloc byte[StatisticsPage.NameLength];
        ((ReadOnlySpan<byte>)counter.Name).CopyTo(bytes);
        int end = bytes.IndexOf((byte)0);
        bytes = end < 0 ? bytes : bytes[..end];
        foreach (ref byte one in bytes)
        {
            bool usual = one is (>= (byte)'a' and <= (byte)'z') or (>= (byte)'0' and <= (byte)'9') or (byte)'_';
            one = usual ? one : (byte)'?';
        }

        return Encoding.ASCII.GetString(bytes);
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private bool TryReadHeader(out StatisticsHeader header)
    {
        header = default;
        return _file.TryRead(0, MemoryMarshal.AsBytes(new Span<StatisticsHeader>(ref header)));
    }
}
