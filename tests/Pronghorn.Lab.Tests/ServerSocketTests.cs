// SPDX-License-Identifier: Apache-2.0
using System;
using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks;
using Xunit;

namespace Pronghorn.Lab.Tests;

public sealed class ServerSocketTests
{
    private const int SocketLevel = 1;
    private const int OptionReusePort = 15;

    [Fact]
    public async Task FormerListenerStillHeld_Listen_WaitsForItAndSharesNothingWithIt()
    {
        var former = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        ServerSocket.Listen(former, new IPEndPoint(IPAddress.Loopback, 0), 1);
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        var local = (IPEndPoint)former.LocalEndPoint!;
        Task listening = Task.Run(() => ServerSocket.Listen(socket, local, 1));
        former.Dispose();
        await listening;
        byte[] isShared = new byte[sizeof(int)];
        Assert.Equal(sizeof(int), socket.GetRawSocketOption(SocketLevel, OptionReusePort, isShared));
        Assert.Equal(0, BitConverter.ToInt32(isShared));
    }
}
