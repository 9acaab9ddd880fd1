// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Threading.Channels;
using System.Threading.Tasks;

namespace Pronghorn.Handoff.Daemon;

/// <summary>
/// Lines on their way to a log. Whoever has one does not wait for it to be written: a log that is full, or that nobody reads, must not
/// hold up connections. Lines that find too many before them are dropped.
/// </summary>
internal sealed class DaemonLog : IAsyncDisposable
{
    private const int MostWaiting = 256;

    private static readonly TimeSpan s_end = TimeSpan.FromSeconds(1);

    private readonly Channel<string> _lines = Channel.CreateBounded<string>(
        new BoundedChannelOptions(MostWaiting) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });

    private readonly Task _writing;

    /// <summary>Begins to write.</summary>
    /// <param name="write">Writes a line; it may take its time, and fail by an <see cref="IOException"/>.</param>
    internal DaemonLog(Action<string> write) => _writing = Task.Run(() => WriteAsync(write));

    /// <summary>Writes a line, soon.</summary>
    internal void Add(string line) => _lines.Writer.TryWrite(line);

    /// <summary>Writes what waits, for a second at most.</summary>
    public async ValueTask DisposeAsync()
    {
        _lines.Writer.TryComplete();
        await _writing.WaitAsync(s_end).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task WriteAsync(Action<string> write)
    {
        await foreach (string line in _lines.Reader.ReadAllAsync())
        {
            try
            {
                write(line);
            }
            catch (IOException)
            {
                // The disk is full, say: the next line may find room.
            }
        }
    }
}
