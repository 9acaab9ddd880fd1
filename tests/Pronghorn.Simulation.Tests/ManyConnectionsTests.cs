// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Simulation.Tests;

/// <summary>Thousands of connections: nothing is left behind, whatever happens to the other side.</summary>
public sealed class ManyConnectionsTests
{
    private const ushort Port = 80;
    private const int RequestLength = 100;
    private const int AnswerLength = 300;

    private static readonly byte[] s_request = new byte[RequestLength];
    private static readonly byte[] s_answer = new byte[AnswerLength];

    [Fact]
    public void TenThousandShortConnections_UnderLoss_LeaveNothing()
    {
        using var fabric = new Fabric(11);
        using var world = new World(fabric, new LinkSettings { Loss = 5_000, Reordering = 5_000 });
        const int Waves = 20;
        const int Wave = 500;
        for (int wave = 0; wave < Waves; wave++)
        {
            for (int i = 0; i < Wave; i++)
            {
                world.Open((ushort)(10_000 + (wave * Wave) + i));
            }

            Assert.True(fabric.RunUntil(() => world.Unfinished == 0, Duration.FromSeconds(300)), $"{world.Unfinished} did not end");
        }

        Assert.Equal(Waves * Wave, world.Answered);
        fabric.RunFor(Duration.FromSeconds(200));
        world.AssertNothingIsLeft();
    }

    [Fact]
    public void PeerVanishes_WithAThousandConnectionsInEveryState_AllEnd()
    {
        using var fabric = new Fabric(12);
        using var world = new World(fabric, new LinkSettings { Delay = Duration.FromMilliseconds(20) });
        for (int i = 0; i < 1000; i++)
        {
            world.Open((ushort)(10_000 + i));
            fabric.RunFor(Duration.FromMicroseconds(130));
        }

        world.Link.Partitioned = true;
        fabric.RunFor(Duration.FromSeconds(9000));
        Assert.Equal(0, world.Unfinished);
        world.CloseServer();
        fabric.RunFor(Duration.FromSeconds(1200));
        world.AssertNothingIsLeft();
    }

    private sealed class World : IDisposable
    {
        private readonly Fabric _fabric;
        private readonly SimulatedHost _client;
        private readonly SimulatedHost _server;
        private readonly Dictionary<int, int> _received = [];
        private readonly HashSet<int> _served = [];
        private readonly byte[] _buffer = new byte[4096];
        private readonly int _listener;

        public World(Fabric fabric, LinkSettings settings)
        {
            _fabric = fabric;
            _client = fabric.AddHost("client", Options(1), 16384);
            _server = fabric.AddHost("server", Options(2), 16384);
            Link = fabric.Connect(_client, _server, settings);
            _client.OnEvent = OnClientEvent;
            _server.OnEvent = OnServerEvent;
            _listener = _server.Tcp.Listen(IpAddress.AnyIpv4, Port, 1024, 0, Settings(), out _);
        }

        public Link Link { get; }

        public int Answered { get; private set; }

        /// <summary>Connections of clients that are not done.</summary>
        public int Unfinished => _received.Count;

        public void Dispose()
        {
        }

        public void Open(ushort port)
        {
            int id = _client.Tcp.Connect(
                _client.Address, port, _server.Address, Port, 0, Settings(), _fabric.Now, out TcpError error);
            Assert.Equal(TcpError.None, error);
            _received.Add(id, -1);
        }

        public void CloseServer()
        {
            foreach (int id in _served)
            {
                _server.Tcp.Close(id, _fabric.Now);
            }

            _served.Clear();
        }

        public void AssertNothingIsLeft()
        {
            Assert.Equal(0, _client.Tcp.ConnectionCount);
            Assert.Equal(0, _server.Tcp.ConnectionCount);
            Assert.Equal(0, _server.Tcp.GetListener(_listener).SynCount);
            Assert.Equal(0, _server.Tcp.AcceptQueueLength(_listener));
            Invariants.CheckNothingHeld(_client);
            Invariants.CheckNothingHeld(_server);
        }

        private static StackOptions Options(ulong secret) => new()
        {
            NeighborMode = NeighborMode.Standalone, MaximumConnections = 20_000, Secret0 = secret,
        };

        private static SocketSettings Settings()
        {
            SocketSettings settings = SocketSettings.Default;
            settings.NoDelay = true;
            settings.KeepAlive = true;
            settings.KeepAliveIdleSeconds = 60;
            settings.KeepAliveIntervalSeconds = 10;
            return settings;
        }

        private void OnClientEvent(TcpEvent happened)
        {
            int id = happened.Id;
            if (!_received.TryGetValue(id, out int received))
            {
                return;
            }

            if (received < 0 && _client.Tcp.GetState(id) == TcpState.Established)
            {
                _client.Tcp.Send(id, s_request, SendFlags.None, _fabric.Now, out _);
                received = 0;
            }

            int got = _client.Tcp.Receive(id, _buffer, ReceiveFlags.None, _fabric.Now, out TcpError error);
            received += got;
            _received[id] = received;
            if (received >= AnswerLength || error is not (TcpError.None or TcpError.WouldBlock))
            {
                Answered += received >= AnswerLength ? 1 : 0;
                _received.Remove(id);
                _client.Tcp.Close(id, _fabric.Now);
            }
        }

        private void OnServerEvent(TcpEvent happened)
        {
            if (happened.IsListener)
            {
                while (_server.Tcp.TryAccept(_listener, out int accepted))
                {
                    _served.Add(accepted);
                    Serve(accepted);
                }
            }
            else if (_served.Contains(happened.Id))
            {
                Serve(happened.Id);
            }
        }

        private void Serve(int id)
        {
            int got = _server.Tcp.Receive(id, _buffer, ReceiveFlags.None, _fabric.Now, out TcpError error);
            if (got > 0)
            {
                _server.Tcp.Send(id, s_answer, SendFlags.None, _fabric.Now, out _);
                got = _server.Tcp.Receive(id, _buffer, ReceiveFlags.None, _fabric.Now, out error);
            }

            if (got == 0 && error != TcpError.WouldBlock)
            {
                _served.Remove(id);
                _server.Tcp.Close(id, _fabric.Now);
            }
        }
    }
}
