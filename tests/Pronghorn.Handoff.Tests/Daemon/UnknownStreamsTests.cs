// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>Strangers connect to the daemons' port and say nothing.</summary>
public sealed class UnknownStreamsTests : IDisposable
{
    private const int Strangers = 300;
    private const int DaemonPort = 1950;

    private readonly DaemonWorld _world = new();

    public void Dispose() => _world.Dispose();

    [Fact]
    public async Task StrangersSayNothing_DaemonsFindEachOtherAllTheSame()
    {
        _world.StartDaemon(0);
        Process second = _world.StartDaemon(1);
        await _world.WaitUntilConnectedAsync(0, 1);
        DaemonWorld.End(second, "KILL");
        _world.StartDaemon(1);
        List<Socket> strangers = [];
        try
        {
            // More than are let in, and than the queue of a listener that is not looked after would hold for long.
            foreach (int node in (int[])[0, 1])
            {
                strangers.AddRange(NamespaceThread.Run(_world.Client, () => Connect(DaemonWorld.AddressOf(node))));
            }

            await _world.WaitUntilConnectedAsync(0, 1).WaitAsync(TimeSpan.FromSeconds(30));
            Assert.True((await _world.StatusOfAsync(0)).PeersRejected > 0);
        }
        finally
        {
            strangers.ForEach(static stranger => stranger.Dispose());
        }
    }

    private static List<Socket> Connect(string address)
    {
        List<Socket> made = [];
        for (int i = 0; i < Strangers; i++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            made.Add(socket);
            socket.Connect(IPAddress.Parse(address), DaemonPort);
        }

        return made;
    }
}
