// SPDX-License-Identifier: Apache-2.0
using System;
using System.Net;
using System.Net.Sockets;
using Pronghorn.Lab;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Netlink;
using Pronghorn.Linux.Tcp;
using Xunit;

namespace Pronghorn.Linux.Tests;

public sealed class TcpEndMonitorTests : IDisposable
{
    private const short PollIn = 1;

    private readonly NetworkNamespace _host = NetworkNamespace.Create(LabCleanup.CreatePrefix() + "-ends");

    public void Dispose() => _host.Dispose();

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public void ConnectionIsReset_BothEndsAreTold(string address) => NamespaceThread.Run(_host, () =>
    {
        Assert.Equal(0, TcpEndMonitor.Open(out TcpEndMonitor? monitor));
        using (monitor)
        {
            using var listener = new Socket(IPAddress.Parse(address).AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(new IPEndPoint(IPAddress.Parse(address), 0));
            listener.Listen();
            int port = ((IPEndPoint)listener.LocalEndPoint!).Port;
            var client = new Socket(listener.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            client.Connect(IPAddress.Parse(address), port);
            Socket server = listener.Accept();
            Assert.Equal(0, TcpSocket.GetCookie((int)client.Handle, out ulong clientCookie));
            Assert.Equal(0, TcpSocket.GetCookie((int)server.Handle, out ulong serverCookie));
            Assert.Equal(TcpEndEvent.None, monitor!.Receive(out _));

            // Without TIME-WAIT.
            client.LingerState = new LingerOption(true, 0);
            client.Dispose();
            server.Dispose();

            bool isClientTold = false;
            bool isServerTold = false;
            Span<PollDescriptor> wait = [new PollDescriptor { Descriptor = monitor.FileDescriptor, Events = PollIn }];
            while (!isClientTold || !isServerTold)
            {
                Assert.True(Libc.Poll(wait, 10_000) > 0, "not told within ten seconds");
                while (monitor.Receive(out DiagnosedSocket ended) == TcpEndEvent.Ended)
                {
                    isClientTold |= ended.Cookie == clientCookie;
                    isServerTold |= ended.Cookie == serverCookie;
                }
            }
        }
    });
}
