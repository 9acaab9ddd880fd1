// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Runtime.CompilerServices;
using Pronghorn.Memory;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>Frames, neighbours, memory.</summary>
public sealed class ResourceTests
{
    [Fact]
    public void Record_IsSmallerThanTwoKibibytes() =>
        Assert.InRange(Unsafe.SizeOf<TransmissionControlBlock>(), 1, 2047);

    [Fact]
    public void NeighbourIsUnknown_SynWaitsAndGoesWhenItIsKnown()
    {
        using var net = new TcpFixture(knowPeer: false) { LocalPort = 50000, RemotePort = 80 };
        net.Id = net.Tcp.Connect(
            TcpFixture.OurAddress, 50000, TcpFixture.PeerAddress, 80, 0, SocketSettings.Default, net.Now, out _);
        net.ExpectNothing();
        Assert.True(net.Stack.Neighbors.TryDequeueRequest(out int interfaceId, out IpAddress wanted));
        Assert.Equal(TcpFixture.InterfaceId, interfaceId);
        Assert.Equal(TcpFixture.PeerAddress, wanted);
        net.Advance(100);
        net.ExpectNothing();
        net.Stack.Neighbors.Set(TcpFixture.InterfaceId, TcpFixture.PeerAddress, TcpFixture.PeerMac);
        SentSegment syn = net.Expect();
        Assert.Equal(TcpFlags.Syn, syn.Flags);
        Assert.Equal(net.Now, syn.Time);
    }

    [Fact]
    public void NeighbourIsUnknown_SynShowsIt()
    {
        using var net = new TcpFixture(knowPeer: false);
        net.Accept();
        Assert.Equal(TcpState.Established, net.State);
    }

    [Fact]
    public void NoRoute_ConnectFailsAtOnce()
    {
        using var net = new TcpFixture();
        int id = net.Tcp.Connect(
            TcpFixture.OurAddress, 1, IpAddress.Parse("192.0.2.1"), 80, 0, SocketSettings.Default, net.Now, out TcpError error);
        Assert.Equal(0, id);
        Assert.Equal(TcpError.NetworkUnreachable, error);
        Assert.Equal(0, net.Tcp.ConnectionCount);
    }

    [Fact]
    public void FramesRunOut_SenderWaitsAndIsTold()
    {
        SocketSettings settings = SocketSettings.Default;
        settings.SendBuffer = 1 << 20;
        using var net = new TcpFixture(frames: 256);
        net.Accept(settings);
        int taken = net.Send(1 << 20);
        Assert.InRange(taken, 100 * 1460, (256 - Limits.ControlFrameReserve) * 1460);
        Assert.InRange(net.Frames.FreeCount, Limits.ControlFrameReserve - 11, Limits.ControlFrameReserve);
        net.ExpectAll();
        net.ClearEvents();
        for (int i = 0; i < 40; i++)
        {
            net.Peer(TcpFlags.Ack);
            net.ExpectAll();
        }

        Assert.Contains(net.Events(), e => (e.Edge & Readiness.Out) != 0);
        Assert.Equal(0, net.Tcp.SendQueueBytes(net.Id));
        Assert.True(net.Send(1000) == 1000);
    }

    [Fact]
    public void FramesAreShort_PollerOfAnIdleConnectionIsToldLater()
    {
        using var net = new TcpFixture(frames: 512);
        net.Accept();
        var held = new List<int>();
        while (net.Frames.FreeCount > 100)
        {
            Assert.True(net.Frames.TryRent(out int frame));
            held.Add(frame);
        }

        Assert.Equal(Readiness.None, net.Tcp.GetReadiness(net.Id));
        net.Tick();
        Assert.Empty(net.Events());
        held.ForEach(net.Frames.Release);
        net.Advance(10);
        Assert.Equal(Readiness.Out, Assert.Single(net.Events()).Edge);
        Assert.Equal(Readiness.Out, net.Tcp.GetReadiness(net.Id));
    }

    [Fact]
    public void FramesRunOut_OutOfOrderDataIsNotHoarded()
    {
        using var net = new TcpFixture(frames: 256);
        net.Accept(options: net.FullOptions());
        for (int i = 1; i < 400; i++)
        {
            net.Peer(TcpFlags.Ack, i * 100, payload: TcpFixture.Bytes(50));
        }

        net.ExpectAll();
        Assert.True(net.Frames.FreeCount >= 15, "control segments need frames");
    }

    [Fact]
    public void NoFrameForTheFin_PeerIsReset()
    {
        using var net = new TcpFixture(frames: 256);
        net.Accept();
        var held = new List<int>();
        while (net.Frames.FreeCount > 0)
        {
            Assert.True(net.Frames.TryRent(out int frame));
            held.Add(frame);
        }

        net.Tcp.Close(net.Id, net.Now);
        Assert.Equal(0, net.Tcp.ConnectionCount);
        held.ForEach(net.Frames.Release);
        net.AssertNothingHeld();
    }

    [Fact]
    public void ManySmallSegments_ShareFramesInTheReceiveQueue()
    {
        using TcpFixture net = new TcpFixture().Accept();
        for (int i = 0; i < 500; i++)
        {
            net.Peer(TcpFlags.Ack, payload: TcpFixture.Bytes(10));
        }

        net.ExpectAll();
        Assert.InRange(net.Frames.FrameCount - net.Frames.FreeCount, 1, 5);
        Assert.Equal(5000, net.Read().Length);
        net.AssertNothingHeld();
    }

    [Fact]
    public void TenThousandExchanges_AllocateNothing()
    {
        using TcpFixture net = new TcpFixture().Accept();
        using var exchange = new Exchange(net);
        exchange.Run(500);
        long before = GC.GetAllocatedBytesForCurrentThread();
        exchange.Run(10_000);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.Equal(10_500, exchange.Answers);
    }

    /// <summary>A peer that costs nothing: requests are made in place, answers only counted.</summary>
    private sealed class Exchange(TcpFixture net) : IDisposable
    {
        private readonly byte[] _request = TcpFixture.Bytes(36);
        private readonly byte[] _buffer = new byte[256];
        private readonly FrameDescriptor[] _out = new FrameDescriptor[16];
        private readonly TcpEvent[] _events = new TcpEvent[16];
        private Instant _now = net.Now;
        private int _seq;
        private int _acked;

        public int Answers { get; private set; }

        public void Dispose()
        {
        }

        public void Run(int count)
        {
            NetworkStack stack = net.Stack;
            for (int i = 0; i < count; i++)
            {
                _now += Duration.FromMicroseconds(37);
                Request();
                stack.Poll(_now);
                for (int j = stack.Tcp.DequeueEvents(_events); j > 0; j--)
                {
                    int got = stack.Tcp.Receive(net.Id, _buffer, ReceiveFlags.None, _now, out _);
                    stack.Tcp.Send(net.Id, _buffer.AsSpan(0, got / 2), SendFlags.None, _now, out _);
                }

                int sent = stack.DequeueTransmit(_out, TcpFixture.InterfaceId);
                for (int j = 0; j < sent; j++)
                {
                    int payload = _out[j].Length - 54;
                    Answers += payload > 0 ? 1 : 0;
                    _acked += Math.Max(0, payload);
                    net.Frames.Release(_out[j].Frame);
                }
            }
        }

        private void Request()
        {
            net.Frames.TryRent(out int frame);
            Span<byte> span = net.Frames.GetSpan(frame)[256..];
            TcpHeader header = default;
            header.SourcePort = net.RemotePort;
            header.DestinationPort = net.LocalPort;
            header.Sequence = net.PeerOrigin + _seq;
            header.Acknowledgment = net.OurOrigin + _acked;
            header.Flags = TcpFlags.Ack | TcpFlags.Psh;
            header.Window = 65535;
            Span<byte> segment = span.Slice(34, 20 + _request.Length);
            header.Write(segment);
            _request.CopyTo(segment[20..]);
            TcpHeader.WriteChecksum(segment, TcpFixture.PeerAddress, TcpFixture.OurAddress);
            Ipv4Header.Write(
                span[14..], TcpFixture.PeerAddress, TcpFixture.OurAddress, IpProtocol.Tcp, segment.Length, 1, 64, 0, true);
            EthernetHeader.Write(span, TcpFixture.OurMac, TcpFixture.PeerMac, EtherType.Ipv4);
            _seq += _request.Length;
            var packet = new FrameDescriptor(frame, 256, (ushort)(34 + segment.Length));
            net.Stack.Receive(new ReadOnlySpan<FrameDescriptor>(in packet), TcpFixture.InterfaceId, _now);
        }
    }
}
