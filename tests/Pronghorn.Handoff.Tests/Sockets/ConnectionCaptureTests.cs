// SPDX-License-Identifier: Apache-2.0
using System;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Lab;
using Pronghorn.Linux.Tcp;
using Xunit;

namespace Pronghorn.Handoff.Tests.Sockets;

/// <summary>
/// A segment may be past the steering when its connection begins to be held, and enters the socket while that is read: the image has it,
/// or does not know of it.
/// </summary>
public sealed class ConnectionCaptureTests : IDisposable
{
    private readonly NetworkNamespace _host = NetworkNamespace.Create(LabCleanup.CreatePrefix() + "-capture");

    public void Dispose() => _host.Dispose();

    [Fact]
    public void SegmentsThatComeMeanwhile_AreInTheImage_OrNotCounted() => NamespaceThread.Run(_host, () =>
    {
        (Socket client, Socket server) = Connect();
        using (client)
        using (server)
        {
            uint begin = Take(server).RcvNxt;
            using var stopped = new CancellationTokenSource();
            var flood = Task.Run(() => Flood(client, stopped.Token));
            byte[] buffer = new byte[100_000];
            int taken = 0;
            for (int i = 0; i < 3000; i++)
            {
                Refusal refusal = ConnectionCapture.TryTake((int)server.Handle, out ConnectionImage? image);
                if (image is null)
                {
                    Assert.Equal(RefusalReason.Busy, refusal.Reason);
                }
                else
                {
                    taken++;
                    Assert.Equal(begin, image.RcvNxt - (uint)image.ReceiveQueue.Length);
                    ConnectionCapture.GiveBack((int)server.Handle);
                }

                begin += server.Available > 0 ? (uint)server.Receive(buffer) : 0;
            }

            stopped.Cancel();
            flood.Wait();
            Assert.InRange(taken, 100, 3000);
        }
    });

    [Fact]
    public void FinThatComesMeanwhile_IsInTheState_OrNotCounted() => NamespaceThread.Run(_host, () =>
    {
        int closed = 0;
        for (int i = 0; i < 300; i++)
        {
            (Socket client, Socket server) = Connect();
            using (client)
            using (server)
            {
                uint begin = Take(server).RcvNxt;
                using var ready = new Barrier(2);
                var end = Task.Run(() =>
                {
                    ready.SignalAndWait();
                    client.Shutdown(SocketShutdown.Send);
                });
                ready.SignalAndWait();
                Refusal refusal = ConnectionCapture.TryTake((int)server.Handle, out ConnectionImage? image);
                end.Wait();
                Assert.True(image is not null || refusal.Reason == RefusalReason.Busy, refusal.ToString());
                if (image is not null)
                {
                    bool hasFin = image.State == KernelTcpState.CloseWait;
                    closed += hasFin ? 1 : 0;
                    Assert.Equal(begin + (hasFin ? 1u : 0), image.RcvNxt);
                }
            }
        }

        Assert.InRange(closed, 1, 300);
    });

    private static ConnectionImage Take(Socket server)
    {
        Refusal refusal = ConnectionCapture.TryTake((int)server.Handle, out ConnectionImage? image);
        Assert.True(refusal.IsNone, refusal.ToString());
        ConnectionCapture.GiveBack((int)server.Handle);
        return image!;
    }

    private static void Flood(Socket client, CancellationToken stopped)
    {
        client.NoDelay = true;
        client.Blocking = false;
        byte[] bytes = new byte[3];
        while (!stopped.IsCancellationRequested)
        {
            _ = client.Send(bytes, SocketFlags.None, out SocketError error);
            Assert.True(error is SocketError.Success or SocketError.WouldBlock, error.ToString());
            Thread.SpinWait(Random.Shared.Next(1000));
        }
    }

    private static (Socket Client, Socket Server) Connect()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        client.Connect(listener.LocalEndPoint!);
        return (client, listener.Accept());
    }
}
