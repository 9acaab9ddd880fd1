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
    private readonly SharedPage _page;

    private StatisticsReader(SharedPage page) => _page = page;

    private ref StatisticsHeader Header => ref MemoryMarshal.AsRef<StatisticsHeader>(_page.Bytes);

    /// <summary>Opens a page.</summary>
    /// <returns>0; a negative error number of open(2); or -EPROTO (-71) when it is not a page of this version.</returns>
    public static int Open(string path, out StatisticsReader? reader)
    {
        const int ProtocolError = -71;
        reader = null;
        int result = SharedPage.Open(path, out SharedPage? page);
        if (result < 0 || page == null)
        {
            return result;
        }

        // The length first: a shorter file has no header to look at.
        StatisticsHeader header = default;
        if (page.Length < StatisticsWriter.PageLength
            || !MemoryMarshal.TryRead(page.Bytes, out header) || header.Magic != StatisticsPage.Magic
            || header.Version != StatisticsPage.Version)
        {
            page.Dispose();
            return ProtocolError;
        }

        reader = new StatisticsReader(page);
        return 0;
    }

    /// <summary>Asks the owner for fresh content.</summary>
    /// <returns>What <see cref="IsAnswered"/> takes.</returns>
    public uint Request() => Interlocked.Increment(ref Header.Request);

    /// <summary>Whether the owner has answered a request. An idle program answers when it next runs or is about to sleep.</summary>
    public bool IsAnswered(uint request) => (int)(Volatile.Read(ref Header.Answered) - request) >= 0;

    /// <summary>Copies the content as it was at one moment.</summary>
    /// <returns>False when the owner kept writing, or died while it wrote.</returns>
    public bool TryRead(out StatisticsHeader header, out StatisticsCounter[] counters, out StatisticsRow[] rows)
    {
        for (int attempt = 0; attempt < 1000; attempt++)
        {
            uint before = Volatile.Read(ref Header.Sequence);
            if ((before & 1) == 0)
            {
                header = Header;
                counters = Copy<StatisticsCounter>(
                    Unsafe.SizeOf<StatisticsHeader>(), Math.Clamp(header.CounterCount, 0, StatisticsPage.MaximumCounters));
                rows = Copy<StatisticsRow>(
                    StatisticsWriter.RowsOffset, Math.Clamp(header.RowCount, 0, StatisticsPage.MaximumRows));
                Interlocked.MemoryBarrier();
                if (Volatile.Read(ref Header.Sequence) == before)
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

    /// <summary>A counter's name as text.</summary>
    public static string NameOf(in StatisticsCounter counter)
    {
        ReadOnlySpan<byte> bytes = counter.Name;
        int end = bytes.IndexOf((byte)0);
        return Encoding.ASCII.GetString(end < 0 ? bytes : bytes[..end]);
    }

    /// <inheritdoc/>
    public void Dispose() => _page.Dispose();

    private T[] Copy<T>(int offset, int count)
        where T : unmanaged =>
        MemoryMarshal.Cast<byte, T>(_page.Bytes[offset..])[..count].ToArray();
}
