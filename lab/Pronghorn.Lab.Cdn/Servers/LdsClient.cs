// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using System.Threading.Tasks;
using Pronghorn.Lab.Cdn.Events;
using Pronghorn.Lab.Cdn.Topology;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Lab.Cdn.Servers;

/// <summary>
/// A worker's connection to the LDS: any number of questions at once, answered in their order. It connects again by itself, and keeps
/// answers until the LDS says that others have come, or is gone.
/// </summary>
internal sealed class LdsClient(EventLoop loop, TcpEnd end) : IDisposable
{
    // It answers out of memory: one that needs longer has stopped, and the request is better refused than kept.
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(2);

    private const int MostKept = 1 << 16;

    private readonly Queue<(string Question, TaskCompletionSource<PopNode> Answer)> _asked = new();
    private readonly Dictionary<string, PopNode> _kept = [];
    private readonly byte[] _buffer = new byte[16 * 1024];
    private Task<LoopDescriptor>? _connecting;

    public void Dispose()
    {
        if (_connecting is { IsCompletedSuccessfully: true })
        {
            _connecting.Result.Dispose();
        }
    }

    /// <summary>The node that has a content.</summary>
    /// <exception cref="IOException">The LDS does not answer.</exception>
    internal ValueTask<PopNode> FindAsync(string name) => AskAsync(name);

    /// <summary>The node after another in pop_struct.conf.</summary>
    /// <exception cref="IOException">The LDS does not answer.</exception>
    internal ValueTask<PopNode> FindAfterAsync(string node) => AskAsync(LdsServer.AfterWord + node);

    private ValueTask<PopNode> AskAsync(string question) =>
        _kept.TryGetValue(question, out PopNode? node) ? new ValueTask<PopNode>(node) : new ValueTask<PopNode>(AskServerAsync(question));

    private async Task<PopNode> AskServerAsync(string question)
    {
        Task<LoopDescriptor>? connecting = null;
        try
        {
            Task<PopNode> asking = AskOnAsync(question);
            connecting = _connecting;
            return await asking.WaitAsync(s_limit);
        }
        catch (TimeoutException)
        {
            if (connecting is { IsCompletedSuccessfully: true })
            {
                // Who else waits for it hears of it too.
                connecting.Result.Dispose();
            }

            throw new IOException(FormattableString.Invariant($"the LDS at {end} has not answered for {s_limit.TotalSeconds} s"));
        }
    }

    private async Task<PopNode> AskOnAsync(string question)
    {
        LoopDescriptor connection = await ConnectedAsync();
        var answered = new TaskCompletionSource<PopNode>();
        _asked.Enqueue((question, answered));
        await connection.SendAsync(Encoding.ASCII.GetBytes(question + "\n"));
        return await answered.Task;
    }

    private async Task<LoopDescriptor> ConnectedAsync()
    {
        Task<LoopDescriptor> connecting = _connecting ??= ConnectAsync();
        try
        {
            return await connecting;
        }
        catch (IOException failure)
        {
            _connecting = _connecting == connecting ? null : _connecting;
            throw new IOException($"the LDS at {end} does not answer: {failure.Message}", failure);
        }
    }

    private async Task<LoopDescriptor> ConnectAsync()
    {
        LoopDescriptor made = await LoopDescriptor.ConnectAsync(loop, end);
        _ = ReadAsync(made);
        await made.SendAsync(Encoding.ASCII.GetBytes(LdsServer.FollowWord + "\n"));
        return made;
    }

    private async Task ReadAsync(LoopDescriptor connection)
    {
        string problem = "it has closed the connection";
        try
        {
            int filled = 0;
            for (int count; (count = await connection.ReceiveAsync(_buffer.AsMemory(filled))) > 0;)
            {
                filled += count;
                int start = 0;
                for (int at; (at = _buffer.AsSpan(start, filled - start).IndexOf((byte)'\n')) >= 0; start += at + 1)
                {
                    Take(Encoding.ASCII.GetString(_buffer, start, at));
                }

                _buffer.AsSpan(start, filled - start).CopyTo(_buffer);
                filled -= start;
            }
        }
        catch (Exception failure) when (failure is IOException or FormatException or InvalidOperationException)
        {
            problem = failure.Message;
        }

        _connecting = null;
        _kept.Clear();
        connection.Dispose();
        while (_asked.TryDequeue(out (string Question, TaskCompletionSource<PopNode> Answer) asked))
        {
            asked.Answer.TrySetException(new IOException($"the LDS at {end}: {problem}"));
        }
    }

    private void Take(string line)
    {
        if (line == LdsServer.ChangedWord)
        {
            _kept.Clear();
            return;
        }

        PopNode node = ReadNode(line);
        (string question, TaskCompletionSource<PopNode> answer) = _asked.Dequeue();
        if (_kept.Count >= MostKept)
        {
            _kept.Clear();
        }

        _kept[question] = node;
        answer.TrySetResult(node);
    }

    private static PopNode ReadNode(string line) => line.Split(' ') is [string name, string address, string port]
        ? new PopNode(name, new TcpEnd(IpAddress.Parse(address), ushort.Parse(port, System.Globalization.CultureInfo.InvariantCulture)))
        : throw new FormatException($"'{line}' is no answer of an LDS");
}
