// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.IO;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Lab.Cdn.Topology;
using Pronghorn.Linux.Files;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Lab.Cdn.Servers;

/// <summary>
/// The local dispatch server: says which node has a content. Over TCP, a line with the content's name is answered by a line with the
/// node's name, address and port (0: the asker's own); a line of "after" and a node's name, by the node after that one. It follows
/// pop_struct.conf; a file that is wrong changes nothing and is told. Who sends the line "follow changes" gets the line "changed" whenever
/// answers may be others than before, and may keep them until then.
/// </summary>
public sealed class LdsServer : IDisposable
{
    /// <summary>What a question for the node after another begins with. A content's name has no blank.</summary>
    internal const string AfterWord = "after ";

    /// <summary>Asks to be told of changes; has no answer of its own.</summary>
    internal const string FollowWord = "follow changes";

    /// <summary>What those who follow are told. No node's line is a single word.</summary>
    internal const string ChangedWord = "changed";

    // Bytes: names are of paths, which are no longer.
    private const int LongestName = 8192;

    private readonly string _path;
    private readonly Action<string> _say;
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly DirectoryWatch _watch;
    private readonly Thread _watching;
    private readonly ConcurrentDictionary<Asker, bool> _followers = new();
    private volatile HashRing _ring;
    private volatile bool _isStopped;

    /// <summary>Reads the file and listens.</summary>
    /// <param name="path">pop_struct.conf.</param>
    /// <param name="end">Where to listen.</param>
    /// <param name="say">Is told that the file was read again, or what is wrong with it.</param>
    /// <exception cref="PopStructureException">The file is wrong from the beginning.</exception>
    /// <exception cref="IOException">It cannot be watched, or the port is taken.</exception>
    public LdsServer(string path, IPEndPoint end, Action<string> say)
    {
        _path = Path.GetFullPath(path);
        _say = say;
        int result = DirectoryWatch.Open(Path.GetDirectoryName(_path)!, out DirectoryWatch? watch);
        _watch = watch ?? throw new IOException($"{Path.GetDirectoryName(_path)} cannot be watched: {Errno.Describe(result)}");
        try
        {
            _ring = new HashRing(PopStructure.Read(_path));
            _listener.Bind(end);
            _listener.Listen();
        }
        catch (SocketException failure)
        {
            Close();
            throw new IOException($"the LDS cannot listen at {end}: {failure.Message}", failure);
        }
        catch
        {
            Close();
            throw;
        }

        _watching = new Thread(Follow) { IsBackground = true, Name = "pop_struct" };
        _watching.Start();
    }

    /// <summary>Where it listens.</summary>
    public EndPoint End => _listener.LocalEndPoint!;

    /// <summary>The node that has a content, as the file is now.</summary>
    public PopNode Find(string name) => _ring.Find(name);

    /// <summary>Answers until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested)
        {
            Socket client;
            try
            {
                client = await _listener.AcceptAsync(cancellation).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            client.NoDelay = true;
            _ = AnswerAsync(client, cancellation);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _isStopped = true;
        _watch.Wake();
        _watching.Join();
        Close();
    }

    private void Close()
    {
        _watch.Dispose();
        _listener.Dispose();
    }

    private async Task AnswerAsync(Socket client, CancellationToken cancellation)
    {
        using var asker = new Asker(new NetworkStream(client, ownsSocket: true));
        try
        {
            var reader = PipeReader.Create(asker.Stream);
            while (await ReadLineAsync(reader, cancellation).ConfigureAwait(false) is { } question)
            {
                if (question == FollowWord)
                {
                    _followers[asker] = true;
                    continue;
                }

                await asker.SayAsync(() => Answer(question), cancellation).ConfigureAwait(false);
            }
        }
        catch (Exception failure) when (failure is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The asker has gone.
        }
        finally
        {
            _followers.TryRemove(asker, out _);
        }
    }

    private string Answer(string question)
    {
        HashRing ring = _ring;
        bool asksForNext = question.StartsWith(AfterWord, StringComparison.Ordinal);
        PopNode node = asksForNext ? ring.After(question[AfterWord.Length..]) : ring.Find(question);
        return FormattableString.Invariant($"{node.Name} {node.End.Address} {node.End.Port}");
    }

    private static async Task TellAsync(Asker follower)
    {
        try
        {
            await follower.SayAsync(static () => ChangedWord, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException)
        {
            // The asker has gone.
        }
    }

    /// <summary>The next line; null at the end, and where one is too long to be a name.</summary>
    private static async Task<string?> ReadLineAsync(PipeReader reader, CancellationToken cancellation)
    {
        while (true)
        {
            ReadResult read = await reader.ReadAsync(cancellation).ConfigureAwait(false);
            if (read.Buffer.PositionOf((byte)'\n') is { } end)
            {
                string line = Encoding.UTF8.GetString(read.Buffer.Slice(0, end)).TrimEnd('\r');
                reader.AdvanceTo(read.Buffer.GetPosition(1, end));
                return line;
            }

            if (read.IsCompleted || read.Buffer.Length > LongestName)
            {
                return null;
            }

            reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    private void Follow()
    {
        List<DirectoryEvent> events = [];
        while (!_isStopped)
        {
            events.Clear();
            int result = _watch.Wait(events);
            if (result < 0)
            {
                _say($"{_path} is no longer followed: {Errno.Describe(result)}");
                return;
            }

            string name = Path.GetFileName(_path);
            if (events.Exists(one => one.Kind is DirectoryEventKind.Written or DirectoryEventKind.Unclear
                && (one.Name == name || one.Kind == DirectoryEventKind.Unclear)))
            {
                Reload();
            }
        }
    }

    private void Reload()
    {
        try
        {
            var read = PopStructure.Read(_path);
            _ring = new HashRing(read);
            foreach (Asker follower in _followers.Keys)
            {
                _ = TellAsync(follower);
            }

            _say(FormattableString.Invariant($"{_path}: {read.Nodes.Count} nodes"));
        }
        catch (PopStructureException mistake)
        {
            _say($"{mistake.Message}; the nodes stay as they were");
        }
    }

    /// <summary>
    /// Who asks. What it is told comes one after another, and is found out only when it is its turn: an answer of before a change is never
    /// behind the word that tells of it.
    /// </summary>
    private sealed class Asker(NetworkStream stream) : IDisposable
    {
        private readonly SemaphoreSlim _turn = new(1);

        internal NetworkStream Stream => stream;

        public void Dispose()
        {
            stream.Dispose();
            _turn.Dispose();
        }

        internal async Task SayAsync(Func<string> line, CancellationToken cancellation)
        {
            await _turn.WaitAsync(cancellation).ConfigureAwait(false);
            try
            {
                await stream.WriteAsync(Encoding.ASCII.GetBytes(line() + "\n"), cancellation).ConfigureAwait(false);
            }
            finally
            {
                _turn.Release();
            }
        }
    }
}
