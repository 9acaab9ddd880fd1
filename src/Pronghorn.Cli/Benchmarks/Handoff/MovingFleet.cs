// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Client;
using Pronghorn.Lab;
using Pronghorn.Lab.Cdn.Network;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Cli.Benchmarks.Handoff;

/// <summary>Clients' connections that are idle, all at one of two edges, and a worker of this process on each edge.</summary>
internal sealed class MovingFleet : IAsyncDisposable
{
    private const int Port = 9100;
    private const int AnswerMilliseconds = 10_000;

    private readonly List<Socket> _clients = [];
    private readonly List<(Socket Listener, HandoffClient Daemon, TcpEnd End)> _workers = [];
    private readonly List<ReceivedConnection> _connections = [];

    // Whose handles the first connections have: a socket that nobody refers to closes them.
    private readonly List<Socket> _accepted = [];
    private int _place;

    private MovingFleet()
    {
    }

    /// <summary>Connections.</summary>
    internal int Count => _connections.Count;

    /// <summary>Makes the workers, and the connections at the first edge.</summary>
    internal static async Task<MovingFleet> CreateAsync(CdnLab lab, int connections, CancellationToken cancellation)
    {
        var fleet = new MovingFleet();
        try
        {
            foreach (CdnEdge edge in lab.Edges)
            {
                await fleet.AddWorkerAsync(edge, cancellation);
            }

            // From the balancer's place, which reaches edges on the same bridge.
            IPEndPoint first = new(IPAddress.Parse(lab.Edges[0].Address), Port);
            for (int i = 0; i < connections; i++)
            {
                fleet._clients.Add(NamespaceThread.Run(lab.Balancer, () => Connect(first)));
                Socket accepted = await fleet._workers[0].Listener.AcceptAsync(cancellation);
                fleet._accepted.Add(accepted);
                fleet._connections.Add(new ReceivedConnection(accepted.SafeHandle, default, 0, default, default));
            }

            return fleet;
        }
        catch
        {
            await fleet.DisposeAsync();
            throw;
        }
    }

    /// <summary>Moves all to the other edge, whose worker takes them.</summary>
    /// <returns>How many came.</returns>
    internal async Task<int> MoveAllAsync(MovesWay way, CancellationToken cancellation)
    {
        HandoffClient from = _workers[_place].Daemon;
        (_, HandoffClient to, TcpEnd end) = _workers[1 - _place];
        Task<List<ReceivedConnection>> taking = TakeAsync(to, _connections.Count);
        HandoffRequest[] batch = [.. _connections.Select(one => new HandoffRequest(one.Socket, end, 0))];

        // Whoever interrupts has the daemons ended: what waits for others of theirs is left.
        IReadOnlyList<HandoffResult> results = await (way == MovesWay.Batch
            ? from.HandOffAllAsync(batch, cancellation) : OneByOneAsync(from, batch, cancellation)).WaitAsync(cancellation);
        if (results.FirstOrDefault(static one => !one.IsDone) is { Text: not null } refused)
        {
            throw new LabException($"a connection was not moved: {refused.Text}");
        }

        List<ReceivedConnection> came = await taking.WaitAsync(TimeSpan.FromMilliseconds(AnswerMilliseconds), cancellation);
        _connections.ForEach(static one => one.Dispose());
        _connections.Clear();
        _connections.AddRange(came);
        _place = 1 - _place;
        return came.Count;
    }

    /// <summary>Each client is answered by the connection that it has.</summary>
    /// <exception cref="LabException">One is not.</exception>
    internal void AssertAllTalk()
    {
        byte[] text = new byte[sizeof(int)];
        for (int i = 0; i < _clients.Count; i++)
        {
            _clients[i].Send(BitConverter.GetBytes(i));
        }

        foreach (ReceivedConnection one in _connections)
        {
            // Not disposed of: it has the connection's only descriptor.
            Socket socket = one.ToSocket();
            socket.Blocking = true;
            socket.ReceiveTimeout = AnswerMilliseconds;
            socket.Send(text, socket.Receive(text), SocketFlags.None);
        }

        for (int i = 0; i < _clients.Count; i++)
        {
            if (_clients[i].Receive(text) != text.Length || BitConverter.ToInt32(text) != i)
            {
                throw new LabException($"connection {i} is not what it was after its moves");
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _connections.ForEach(static one => one.Dispose());
        _clients.ForEach(static one => one.Dispose());
        foreach ((Socket listener, HandoffClient daemon, _) in _workers)
        {
            await daemon.DisposeAsync();
            listener.Dispose();
        }
    }

    private static async Task<IReadOnlyList<HandoffResult>> OneByOneAsync(
        HandoffClient from, HandoffRequest[] batch, CancellationToken cancellation)
    {
        var results = new List<HandoffResult>(batch.Length);
        foreach (HandoffRequest one in batch)
        {
            results.Add(await from.HandOffAsync(one.Connection, one.Target, one.Worker, default, default, cancellation));
        }

        return results;
    }

    private static async Task<List<ReceivedConnection>> TakeAsync(HandoffClient daemon, int count)
    {
        List<ReceivedConnection> came = [];
        while (came.Count < count)
        {
            came.Add(await daemon.Connections.ReadAsync());
        }

        return came;
    }

    private static Socket Connect(IPEndPoint end)
    {
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = AnswerMilliseconds };
        client.Connect(end);
        return client;
    }

    private async Task AddWorkerAsync(CdnEdge edge, CancellationToken cancellation)
    {
        Socket listener = NamespaceThread.Run(edge.Place, () =>
        {
            var made = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            made.Bind(new IPEndPoint(IPAddress.Parse(edge.Address), Port));
            made.Listen();
            return made;
        });
        HandoffClient daemon = await HandoffClient.ConnectAsync(WorkerService.Vlb, 0, edge.SocketDirectory, cancellation);
        var end = new TcpEnd(IpAddress.Parse(edge.Address), Port);
        _workers.Add((listener, daemon, end));
        HandoffResult registered = await daemon.RegisterAsync(listener.SafeHandle, end, 0, cancellation);
        if (!registered.IsDone)
        {
            throw new LabException($"{edge.Name}: the daemon does not take its worker: {registered.Text}");
        }
    }
}
