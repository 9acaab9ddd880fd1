// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Globalization;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;

namespace Pronghorn.Benchmarks;

/// <summary>
/// Requests and answers between two stacks in one thread, with no kernel between: what the protocol code itself costs. Time is
/// virtual and moves by a microsecond a round, so that timers run as they would.
/// </summary>
internal sealed class RoundTrips : IDisposable
{
    private const ushort Port = 6379;
    private const int RequestBytes = 36; // a GET as redis-benchmark writes it
    private const int AnswerBytes = 9;   // "$3\r\nxxx\r\n"

    private readonly StackHost _client = new("10.0.0.1", "02:00:00:00:00:01", "10.0.0.2", "02:00:00:00:00:02");
    private readonly StackHost _server = new("10.0.0.2", "02:00:00:00:00:02", "10.0.0.1", "02:00:00:00:00:01");
    private readonly byte[] _request = new byte[RequestBytes];
    private readonly byte[] _answer = new byte[AnswerBytes];
    private readonly byte[] _buffer = new byte[65536];
    private readonly TcpEvent[] _events = new TcpEvent[256];
    private Instant _now = new(1_000_000_000);
    private long _answered;
    private long _frames;

    private RoundTrips(int connections)
    {
        int listener = _server.Stack.Tcp.Listen(_server.Address, Port, 1024, 0, SocketSettings.Default, out _);
        Require(listener != 0, "listen");
        for (int i = 0; i < connections; i++)
        {
            int connection = _client.Stack.Tcp.Connect(
                _client.Address, (ushort)(20000 + i), _server.Address, Port, 0, Settings(), _now, out _);
            Require(connection != 0, "connect");
        }

        for (int accepted = 0, rounds = 0; accepted < connections; rounds++)
        {
            Require(rounds < 1000, "opening the connections");
            Exchange();
            while (_server.Stack.Tcp.TryAccept(listener, out int connection))
            {
                _server.Stack.Tcp.ApplySettings(connection, Settings(), _now);
                accepted++;
            }
        }
    }

    /// <summary>Runs requests over connections and prints what one cost.</summary>
    internal static void Run(int connections, long requests)
    {
        using RoundTrips benchmark = new(connections);
        benchmark.Start();
        benchmark.Drive(requests / 10);
        benchmark._frames = 0;
        long already = benchmark._answered;
        long bytes = GC.GetAllocatedBytesForCurrentThread();
        long start = Stopwatch.GetTimestamp();
        benchmark.Drive(already + requests);
        double nanoseconds = Stopwatch.GetElapsedTime(start).TotalNanoseconds;
        bytes = GC.GetAllocatedBytesForCurrentThread() - bytes;
        long done = benchmark._answered - already;
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"round trips, {connections,4} connections: {nanoseconds / done,7:0} ns both ends together, "
            + $"{(double)benchmark._frames / done:0.00} frames each, {bytes} bytes allocated"));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _client.Dispose();
        _server.Dispose();
    }

    private static SocketSettings Settings()
    {
        SocketSettings settings = SocketSettings.Default;
        settings.NoDelay = true;
        return settings;
    }

    private void Start()
    {
        TcpEngine tcp = _client.Stack.Tcp;
        while (tcp.DequeueEvents(_events) > 0)
        {
            // Opened: every connection gets its first request below.
        }

        while (_server.Stack.Tcp.DequeueEvents(_events) > 0)
        {
            // Accepted above.
        }

        for (int i = 1; i < tcp.UpperBound; i++)
        {
            if (tcp.IsActive(i))
            {
                Send(tcp, i, _request);
            }
        }
    }

    private void Drive(long until)
    {
        int idle = 0;
        while (_answered < until)
        {
            long before = _answered;
            Exchange();
            Answer();
            Exchange();
            Ask();
            idle = _answered == before ? idle + 1 : 0;
            Require(idle < 1_000_000, "keeping the exchange going");
        }
    }

    private void Exchange()
    {
        _now += new Duration(1000);
        _client.Stack.Poll(_now);
        _frames += _client.TransmitTo(_server, _now);
        _server.Stack.Poll(_now);
        _frames += _server.TransmitTo(_client, _now);
    }

    private void Answer()
    {
        TcpEngine tcp = _server.Stack.Tcp;
        int count;
        while ((count = tcp.DequeueEvents(_events)) > 0)
        {
            for (int i = 0; i < count; i++)
            {
                if (!_events[i].IsListener && (_events[i].Edge & Readiness.In) != 0 && Read(tcp, _events[i].Id) > 0)
                {
                    Send(tcp, _events[i].Id, _answer);
                }
            }
        }
    }

    private void Ask()
    {
        TcpEngine tcp = _client.Stack.Tcp;
        int count;
        while ((count = tcp.DequeueEvents(_events)) > 0)
        {
            for (int i = 0; i < count; i++)
            {
                if ((_events[i].Edge & Readiness.In) != 0 && Read(tcp, _events[i].Id) > 0)
                {
                    _answered++;
                    Send(tcp, _events[i].Id, _request);
                }
            }
        }
    }

    private int Read(TcpEngine tcp, int connection)
    {
        int count = tcp.Receive(connection, _buffer, ReceiveFlags.None, _now, out TcpError error);
        Require(error is TcpError.None or TcpError.WouldBlock, "receive");
        return count;
    }

    private void Send(TcpEngine tcp, int connection, byte[] data)
    {
        int count = tcp.Send(connection, data, SendFlags.None, _now, out _);
        Require(count == data.Length, "send");
    }

    private static void Require(bool condition, string what)
    {
        if (!condition)
        {
            throw new InvalidOperationException($"{what} failed");
        }
    }
}
