// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Memory;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests;

/// <summary>Whatever arrives, nothing is thrown and no frame is lost.</summary>
public sealed class HostileInputTests
{
    private const int Frames = 40_000;

    [Theory]
    [InlineData(1, NeighborMode.Kernel)]
    [InlineData(2, NeighborMode.Standalone)]
    public void RandomFrames_Arrive_NothingIsLeaked(int seed, NeighborMode mode)
    {
        using TcpFixture net = Open(mode, out int listener);
        var random = new Random(seed);
        for (int i = 0; i < Frames; i++)
        {
            byte[] bytes = new byte[random.Next(0, 200)];
            random.NextBytes(bytes);
            if (bytes.Length > 14 && random.Next(2) == 0)
            {
                bytes[12] = 8;
                bytes[13] = (byte)(random.Next(4) == 0 ? 6 : 0);
            }

            Feed(net, bytes);
        }

        End(net, listener);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    public void MutatedSegments_Arrive_NothingIsLeaked(int seed)
    {
        using TcpFixture net = Open(NeighborMode.Kernel, out int listener);
        var random = new Random(seed);
        for (int i = 0; i < Frames; i++)
        {
            Feed(net, Segment(net, random));
            if (i % 50 == 0)
            {
                net.Advance(random.Next(300));
                net.ExpectAll();
                if (net.Tcp.IsActive(net.Id))
                {
                    net.Tcp.Send(net.Id, new byte[random.Next(3000)], SendFlags.None, net.Now, out _);
                    net.Tcp.Receive(net.Id, new byte[random.Next(3000)], ReceiveFlags.None, net.Now, out _);
                }
            }

            Check(net);
        }

        End(net, listener);
    }

    private static TcpFixture Open(NeighborMode mode, out int listener)
    {
        var net = new TcpFixture(new StackOptions { MaximumConnections = 64, NeighborMode = mode });
        net.Accept(options: net.FullOptions());
        listener = net.Tcp.Listen(IpAddress.AnyIpv4, 99, 5, 0, SocketSettings.Default, out _);
        return net;
    }

    private static void Check(TcpFixture net)
    {
        for (int id = 1; id < net.Tcp.UpperBound; id++)
        {
            if (net.Tcp.IsActive(id))
            {
                Assert.Null(net.Tcp.FindInconsistency(id));
            }
        }
    }

    private static void End(TcpFixture net, int listener)
    {
        for (int id = 1; id < net.Tcp.UpperBound; id++)
        {
            if (net.Tcp.IsActive(id) && net.Tcp.Get(id).Listener == 0 && !net.Tcp.Get(id).Has(TcbFlags.Orphan))
            {
                net.Tcp.Abort(id, net.Now);
            }
        }

        net.Tcp.CloseListener(listener, net.Now);
        net.Id = 0;
        net.Advance(Duration.FromSeconds(400));
        net.ExpectAll();
        Assert.Equal(0, net.Tcp.ConnectionCount);
        net.AssertNothingHeld();
    }

    /// <summary>A segment near what the connection expects, with a few bytes changed, usually under a right checksum.</summary>
    private static byte[] Segment(TcpFixture net, Random random)
    {
        byte[] payload = new byte[random.Next(4) == 0 ? 0 : random.Next(1, 1400)];
        bool known = net.Tcp.IsActive(net.Id) && random.Next(5) != 0;
        SeqNumber next = known ? net.Tcb.RcvNxt : new SeqNumber((uint)random.NextInt64(1L << 32));
        SeqNumber ack = known ? net.Tcb.SndUna : new SeqNumber((uint)random.NextInt64(1L << 32));
        TcpHeader header = default;
        header.SourcePort = random.Next(10) == 0 ? (ushort)random.Next(2000, 2010) : net.RemotePort;
        header.DestinationPort = random.Next(10) == 0 ? (ushort)99 : net.LocalPort;
        header.Sequence = next + random.Next(-3000, 20_000);
        header.Acknowledgment = ack + random.Next(-100, 5000);
        header.Flags = random.Next(3) == 0 ? (TcpFlags)random.Next(256) & ~TcpFlags.Rst : TcpFlags.Ack;
        header.Window = (ushort)random.Next(65536);
        header.Options = RandomOptions(net, random, ack);
        byte[] frame = new byte[34 + header.HeaderLength + payload.Length];
        Span<byte> segment = frame.AsSpan(34);
        header.Write(segment);
        payload.CopyTo(segment[header.HeaderLength..]);
        for (int changes = random.Next(3); changes > 0; changes--)
        {
            segment[random.Next(12, Math.Min(segment.Length, 60))] = (byte)random.Next(256);
        }

        if (random.Next(20) != 0)
        {
            TcpHeader.WriteChecksum(segment, TcpFixture.PeerAddress, TcpFixture.OurAddress);
        }

        Ipv4Header.Write(
            frame.AsSpan(14), TcpFixture.PeerAddress, TcpFixture.OurAddress, IpProtocol.Tcp, segment.Length, 1, 64, 0, true);
        EthernetHeader.Write(frame, TcpFixture.OurMac, TcpFixture.PeerMac, EtherType.Ipv4);
        return frame;
    }

    private static TcpOptions RandomOptions(TcpFixture net, Random random, SeqNumber ack)
    {
        TcpOptions options = default;
        options.HasTimestamps = random.Next(2) == 0;
        options.TimestampValue = net.PeerClock + (uint)random.Next(100);
        options.TimestampEcho = (uint)random.Next();
        for (int i = random.Next(4); i > 0; i--)
        {
            SeqNumber left = ack + random.Next(-2000, 30_000);
            options.TryAddSackBlock(new SackBlock(left, left + random.Next(-10, 8000)));
        }

        return options;
    }

    private static void Feed(TcpFixture net, ReadOnlySpan<byte> bytes)
    {
        if (!net.Frames.TryRent(out int frame))
        {
            return;
        }

        bytes.CopyTo(net.Frames.GetSpan(frame)[256..]);
        net.Receive(new FrameDescriptor(frame, 256, (ushort)bytes.Length));
    }
}
