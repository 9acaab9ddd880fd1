// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Text;
using System.Threading.Tasks;
using Pronghorn.Lab.Cdn.Content;
using Pronghorn.Lab.Cdn.Http;
using Pronghorn.Lab.Cdn.Events;

namespace Pronghorn.Lab.Cdn.Load;

/// <summary>Clients: connections that ask for one file after another, on one thread.</summary>
public sealed class LoadGenerator
{
    private const int BufferLength = 1 << 20;
    private const int Truncate = 0x20; // MSG_TRUNC: of TCP, discards what is received

    private readonly LoadOptions _options;
    // What a client may wait for on a machine where everything else runs too; one that waits longer at the end hangs.
    private static readonly TimeSpan s_hangs = TimeSpan.FromSeconds(1);

    private readonly Action _begin;
    private readonly HashSet<Silence> _waiting = [];
    private readonly List<double> _stalls = [];
    private readonly byte[] _discarded = new byte[BufferLength];
    private readonly byte[] _expected = new byte[BufferLength];
    private long _began;
    private long _end;
    private long _bytes;
    private long _requests;
    private long _moves;
    private long _failures;
    private string _firstProblem = "";

    /// <summary>Makes the clients.</summary>
    /// <param name="options">What they ask for.</param>
    /// <param name="begin">Is called when what is counted begins.</param>
    public LoadGenerator(LoadOptions options, Action begin)
    {
        _options = options;
        _begin = begin;
    }

    private bool IsCounted => _began != 0 && Stopwatch.GetTimestamp() < _end;

    /// <summary>Runs them and returns what they got.</summary>
    public LoadResult Run()
    {
        using var loop = new EventLoop();
        loop.Run(async () =>
        {
            _end = long.MaxValue;
            Task[] clients = [.. Enumerable.Range(0, _options.Connections).Select(number => RunClientAsync(loop, number))];
            await Task.WhenAny(Task.WhenAll(clients), Task.Delay(TimeSpan.FromSeconds(_options.WarmUp)));
            _end = Stopwatch.GetTimestamp() + (long)(_options.Seconds * Stopwatch.Frequency);
            _began = Stopwatch.GetTimestamp();
            _begin();

            // Those that hang are left: they end with the process.
            await Task.WhenAny(Task.WhenAll(clients), Task.Delay(TimeSpan.FromSeconds(_options.Seconds)));
        });
        double seconds = Stopwatch.GetElapsedTime(_began).TotalSeconds;
        CountHanging();
        _stalls.Sort();
        return new LoadResult(
            seconds, _bytes, _requests, _moves, _failures, _firstProblem, Quantile(0.5), Quantile(0.99), Quantile(1));
    }

    private void CountHanging()
    {
        TimeSpan[] hanging = [.. _waiting.Select(static silence => silence.Current).Where(static current => current >= s_hangs)];
        _failures += hanging.Length;
        _stalls.AddRange(hanging.Select(static current => current.TotalMilliseconds));
        if (hanging.Length > 0 && _firstProblem.Length == 0)
        {
            _firstProblem = FormattableString.Invariant(
                $"at the end {hanging.Length} had got nothing for a second or more, one for {hanging.Max().TotalSeconds:0.0} s");
        }
    }

    private double Quantile(double share) => _stalls.Count == 0
        ? 0 : Math.Round(_stalls[Math.Min(_stalls.Count - 1, (int)(share * _stalls.Count))], 3);

    private async Task RunClientAsync(EventLoop loop, int number)
    {
        // The same sequence of files each time.
        var random = new Random(number);
        while (Stopwatch.GetTimestamp() < _end)
        {
            try
            {
                using LoopDescriptor connection = await LoopDescriptor.ConnectAsync(loop, _options.Target);
                byte[] head = new byte[HttpRequest.MaximumLength];
                string node = "";
                int file = random.Next(_options.Files);
                for (int i = 0; i < _options.Requests && Stopwatch.GetTimestamp() < _end; i++)
                {
                    string former = node;
                    file = random.Next(100) < _options.SwitchPercent ? random.Next(_options.Files) : file;
                    node = await AskAsync(connection, FormattableString.Invariant($"file-{file}"), head);
                    if (IsCounted)
                    {
                        _moves += former.Length > 0 && former != node ? 1 : 0;
                    }
                }
            }
            catch (IOException failure)
            {
                _failures++;
                _firstProblem = _firstProblem.Length == 0 ? failure.Message : _firstProblem;

                // Nobody there: not at once again.
                await Task.Delay(10);
            }
        }
    }

    /// <summary>Asks for a file and receives it. The node that answered.</summary>
    private async ValueTask<string> AskAsync(LoopDescriptor connection, string name, byte[] head)
    {
        string question = FormattableString.Invariant($"GET /file/{name}/{_options.Size} HTTP/1.1\r\nHost: cdn\r\n\r\n");
        var silence = new Silence();
        _waiting.Add(silence);
        try
        {
            await connection.SendAsync(Encoding.ASCII.GetBytes(question));
            return await ReceiveAnswerAsync(connection, name, head, silence);
        }
        finally
        {
            _waiting.Remove(silence);
        }
    }

    private async ValueTask<string> ReceiveAnswerAsync(LoopDescriptor connection, string name, byte[] head, Silence silence)
    {
        int filled = 0;
        int length;
        while ((length = HttpResponse.FindEnd(head.AsSpan(0, filled))) < 0)
        {
            int received = await connection.ReceiveAsync(head.AsMemory(filled));
            if (received == 0)
            {
                throw new IOException(filled == 0 ? "the connection ended before an answer" : "the connection ended within a head");
            }

            filled += received;
            silence.Break();
        }

        string text = Encoding.Latin1.GetString(head, 0, length);
        if (!text.StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal)
            || HttpResponse.ReadLength(head.AsSpan(0, length)) != _options.Size)
        {
            throw new IOException($"answer: {text.Split('\r')[0]}");
        }

        await ReceiveBodyAsync(connection, name, head.AsMemory(length, filled - length), silence);
        if (IsCounted)
        {
            _requests++;
            _stalls.Add(silence.Longest.TotalMilliseconds);
        }

        return text.Split("X-Cdn-Node: ") is [_, string rest] ? rest.Split('\r')[0] : "";
    }

    private async ValueTask ReceiveBodyAsync(LoopDescriptor connection, string name, ReadOnlyMemory<byte> first, Silence silence)
    {
        Count(name, 0, first.Span);
        for (long at = first.Length; at < _options.Size;)
        {
            int most = (int)Math.Min(BufferLength, _options.Size - at);
            int received = await connection.ReceiveAsync(_discarded.AsMemory(0, most), _options.Checks ? 0 : Truncate);
            if (received == 0)
            {
                throw new IOException("the connection ended within a file");
            }

            silence.Break();
            Count(name, at, _discarded.AsSpan(0, received));
            at += received;
        }
    }

    private void Count(string name, long offset, ReadOnlySpan<byte> bytes)
    {
        _bytes += IsCounted ? bytes.Length : 0;
        if (_options.Checks)
        {
            Span<byte> expected = _expected.AsSpan(0, bytes.Length);
            GeneratedContent.Fill(name, offset, expected);
            if (!bytes.SequenceEqual(expected))
            {
                throw new IOException(FormattableString.Invariant($"wrong bytes of {name} from {offset}"));
            }
        }
    }

    /// <summary>The longest time in which nothing came.</summary>
    private sealed class Silence
    {
        private long _last = Stopwatch.GetTimestamp();

        internal TimeSpan Longest { get; private set; }

        internal TimeSpan Current => Stopwatch.GetElapsedTime(_last);

        internal void Break()
        {
            long now = Stopwatch.GetTimestamp();
            TimeSpan silence = Stopwatch.GetElapsedTime(_last, now);
            Longest = silence > Longest ? silence : Longest;
            _last = now;
        }
    }
}
