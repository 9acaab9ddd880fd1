// SPDX-License-Identifier: Apache-2.0
using System;
using System.Net;
using System.Net.Sockets;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Linux.Tests;

/// <summary>Runs the steering program in the kernel (BPF_PROG_TEST_RUN) over packets and looks at its verdicts.</summary>
public sealed class SteeringProgramTests : IDisposable
{
    private const int Pass = 2;
    private const int Redirect = 4;
    private const ushort EtherIpv4 = 0x0800;
    private const byte Syn = 2;
    private const byte SynAck = 0x12;
    private const byte Ack = 0x10;
    private const ushort Port = 6379;

    private static readonly IpAddress s_local = IpAddress.FromIpv4(0x0a000002);
    private static readonly IpAddress s_remote = IpAddress.FromIpv4(0x0a000001);

    private readonly SteeringProgram _program;
    private readonly int _socket;

    public SteeringProgramTests()
    {
        int result = SteeringProgram.Load(out SteeringProgram? program, out SteeringStep step);
        Assert.True(program is not null, $"{step} failed with {result}");
        _program = program;
        _socket = Libc.Socket(Constants.AddressFamilyXdp, Constants.SocketRaw | Constants.SocketCloseOnExec, 0);
        Assert.True(_socket >= 0);
        Assert.Equal(0, _program.SetSocket(0, _socket));
        Assert.Equal(0, _program.AddOwned(PacketBuilder.Tcp, s_local, Port, SteeringOptions.None));
    }

    public void Dispose()
    {
        _program.Dispose();
        _ = Libc.Close(_socket);
    }

    [Theory]
    [InlineData(Syn)]
    [InlineData(SynAck)]
    [InlineData(Ack)]
    [InlineData((byte)4)]
    public void OwnedPort_AnySegment_IsRedirected(byte flags)
    {
        Assert.Equal(Redirect, RunTcp(s_remote, 5555, s_local, Port, flags));
        Assert.Equal(1UL, Count(SteeringCounter.Redirected));
    }

    [Fact]
    public void OtherPortAddressOrProtocol_Passes()
    {
        Assert.Equal(Pass, RunTcp(s_remote, 5555, s_local, Port + 1, Syn));
        Assert.Equal(Pass, RunTcp(s_remote, Port, s_local, 5555, Syn));
        Assert.Equal(Pass, RunTcp(s_local, 5555, s_remote, Port, Syn));
        Assert.Equal(Pass, Run(PacketBuilder.Ipv4(
            PacketBuilder.Udp, s_remote, s_local, PacketBuilder.TcpSegment(5555, Port, 0))));
        Assert.Equal(Pass, Run(PacketBuilder.Ipv4(
            132, s_remote, s_local, PacketBuilder.TcpSegment(5555, Port, 0))));
        Assert.Equal(5UL, Count(SteeringCounter.Passed));
        Assert.Equal(0UL, Count(SteeringCounter.Redirected));
    }

    [Fact]
    public void OwnedPort_Removed_Passes()
    {
        Assert.Equal(0, _program.RemoveOwned(PacketBuilder.Tcp, s_local, Port));
        Assert.Equal(-Errno.NoEntry, _program.RemoveOwned(PacketBuilder.Tcp, s_local, Port));
        Assert.Equal(Pass, RunTcp(s_remote, 5555, s_local, Port, Syn));
    }

    [Fact]
    public void Ipv4Options_BeforeTheSegment_AreSkipped()
    {
        byte[] segment = PacketBuilder.TcpSegment(5555, Port, Syn);
        for (int length = 0; length <= 40; length += 4)
        {
            Assert.Equal(Redirect, Run(PacketBuilder.Ipv4(
                PacketBuilder.Tcp, s_remote, s_local, segment, optionLength: length)));
        }
    }

    [Fact]
    public void OtherEtherTypes_OverTheSamePacket_Pass()
    {
        byte[] packet = PacketBuilder.Ipv4(
            PacketBuilder.Tcp, s_remote, s_local, PacketBuilder.TcpSegment(5555, Port, Syn));
        foreach (ushort type in (ushort[])[0x0806, 0x8100, 0x88a8, 0x86dd, 60])
        {
            Assert.Equal(Pass, _program.Run(PacketBuilder.Ethernet(type, packet)));
        }

        Assert.Equal(5UL, Count(SteeringCounter.Passed));
    }

    [Fact]
    public void Fragments_FirstIsRedirectedAndLaterOnesPass()
    {
        byte[] segment = PacketBuilder.TcpSegment(5555, Port, Ack);
        Assert.Equal(Redirect, Run(PacketBuilder.Ipv4(
            PacketBuilder.Tcp, s_remote, s_local, segment, PacketBuilder.MoreFragments)));
        Assert.Equal(1UL, Count(SteeringCounter.FragmentRedirected));
        Assert.Equal(Pass, Run(PacketBuilder.Ipv4(PacketBuilder.Tcp, s_remote, s_local, segment, 1)));
        Assert.Equal(Pass, Run(PacketBuilder.Ipv4(
            PacketBuilder.Tcp, s_remote, s_local, segment, PacketBuilder.MoreFragments | 185)));
        Assert.Equal(2UL, Count(SteeringCounter.FragmentPassed));

        // Do not fragment, and the reserved bit, make no fragment.
        Assert.Equal(Redirect, Run(PacketBuilder.Ipv4(PacketBuilder.Tcp, s_remote, s_local, segment, 0xc000)));
        Assert.Equal(1UL, Count(SteeringCounter.Redirected));
    }

    [Theory]
    [InlineData((byte)3, Redirect)]
    [InlineData((byte)11, Redirect)]
    [InlineData((byte)12, Redirect)]
    [InlineData((byte)0, Pass)]
    [InlineData((byte)5, Pass)]
    [InlineData((byte)8, Pass)]
    public void IcmpMessage_AboutAPacketOfOurs_IsRedirectedWhenItIsAnError(byte type, int verdict)
    {
        byte[] sent = PacketBuilder.Ipv4(PacketBuilder.Tcp, s_local, s_remote, PacketBuilder.TcpSegment(Port, 5555, Ack));
        Assert.Equal(verdict, RunIcmp(type, sent));

        // The least that a router must quote: the header and eight bytes (RFC 792).
        Assert.Equal(verdict, RunIcmp(type, sent.AsSpan(0, 28)));
        Assert.Equal(verdict == Redirect ? 2UL : 0UL, Count(SteeringCounter.IcmpRedirected));
    }

    [Fact]
    public void IcmpError_AboutOthersOrCutOff_Passes()
    {
        byte[] others = PacketBuilder.Ipv4(PacketBuilder.Tcp, s_local, s_remote, PacketBuilder.TcpSegment(22, 5555, Ack));
        byte[] received = PacketBuilder.Ipv4(PacketBuilder.Tcp, s_remote, s_local, PacketBuilder.TcpSegment(5555, Port, Ack));
        byte[] ours = PacketBuilder.Ipv4(PacketBuilder.Tcp, s_local, s_remote, PacketBuilder.TcpSegment(Port, 5555, Ack));
        Assert.Equal(Pass, RunIcmp(3, others));
        Assert.Equal(Pass, RunIcmp(3, received));
        for (int length = 0; length < 28; length++)
        {
            Assert.Equal(Pass, RunIcmp(3, ours.AsSpan(0, length)));
        }

        Assert.Equal(0UL, Count(SteeringCounter.IcmpRedirected));
        Assert.Equal(28UL, Count(SteeringCounter.Malformed));
    }

    [Fact]
    public void Packet_CutAnywhere_IsNeverDropped()
    {
        byte[] whole = PacketBuilder.Ethernet(
            EtherIpv4,
            PacketBuilder.Ipv4(PacketBuilder.Tcp, s_remote, s_local, PacketBuilder.TcpSegment(5555, Port, Syn)));

        // 14 bytes are the least that the kernel runs a program over.
        for (int length = 14; length <= whole.Length; length++)
        {
            int verdict = _program.Run(whole.AsSpan(0, length));
            Assert.Equal(length >= 14 + 20 + 8 ? Redirect : Pass, verdict);
        }
    }

    [Fact]
    public void HeaderLengthOrVersionWrong_Passes()
    {
        byte[] packet = PacketBuilder.Ipv4(
            PacketBuilder.Tcp, s_remote, s_local, PacketBuilder.TcpSegment(5555, Port, Syn));
        foreach (byte first in (byte[])[0x44, 0x40, 0x65, 0x4f, 0xff])
        {
            packet[0] = first;
            Assert.Equal(Pass, Run(packet));
        }

        Assert.Equal(5UL, Count(SteeringCounter.Malformed));
    }

    [Fact]
    public void RandomPackets_PassOrAreRedirected()
    {
        var random = new Random(1);
        byte[] packet = new byte[80];
        for (int i = 0; i < 5000; i++)
        {
            random.NextBytes(packet);
            packet[0] = (byte)(0x40 | random.Next(16));
            packet[9] = (byte)random.Next(20);
            Assert.Contains(Run(packet.AsSpan(0, random.Next(packet.Length))), (int[])[Pass, Redirect]);
        }
    }

    [Fact]
    public void QueueWithoutSocket_OwnedPacket_PassesAndIsCounted()
    {
        Assert.Equal(0, SteeringProgram.Load(out SteeringProgram? other, out _));
        using SteeringProgram program = other!;
        Assert.Equal(0, program.AddOwned(PacketBuilder.Tcp, s_local, Port, SteeringOptions.None));
        byte[] packet = PacketBuilder.Ethernet(
            EtherIpv4,
            PacketBuilder.Ipv4(PacketBuilder.Tcp, s_remote, s_local, PacketBuilder.TcpSegment(5555, Port, Syn)));
        Assert.Equal(Pass, program.Run(packet));
        Assert.Equal(0, program.ReadCounters(out SteeringCounters counters));
        Assert.Equal(1UL, counters[SteeringCounter.NoSocket]);
    }

    [Fact]
    public void CheckKernel_ConnectionOfTheKernel_PassesAndOthersAreRedirected()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        int port = ((IPEndPoint)listener.LocalEndpoint).Port;
        using var client = new TcpClient();
        client.Connect(IPAddress.Loopback, port);
        using TcpClient server = listener.AcceptTcpClient();
        int remotePort = ((IPEndPoint)client.Client.LocalEndPoint!).Port;
        IpAddress loopback = IpAddress.FromIpv4(0x7f000001);
        Assert.Equal(
            0, _program.AddOwned(PacketBuilder.Tcp, loopback, (ushort)port, SteeringOptions.CheckKernel));

        byte[] sent = PacketBuilder.Ipv4(
            PacketBuilder.Tcp, loopback, loopback, PacketBuilder.TcpSegment(port, remotePort, Ack));
        Assert.Equal(Pass, RunTcp(loopback, remotePort, loopback, port, Ack));
        Assert.Equal(Pass, RunIcmp(3, sent));
        Assert.Equal(2UL, Count(SteeringCounter.PassedKernelSocket));
        Assert.Equal(Redirect, RunTcp(loopback, remotePort + 1, loopback, port, Ack));
        Assert.Equal(Redirect, RunTcp(loopback, remotePort + 1, loopback, port, Syn));

        // Without the option the same segment is ours.
        Assert.Equal(0, _program.AddOwned(PacketBuilder.Tcp, loopback, (ushort)port, SteeringOptions.None));
        Assert.Equal(Redirect, RunTcp(loopback, remotePort, loopback, port, Ack));
    }

    [Fact]
    public void Lingering_KernelListens_OnlyNewConnectionsPass()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        int port = ((IPEndPoint)listener.LocalEndpoint).Port;
        IpAddress loopback = IpAddress.FromIpv4(0x7f000001);
        const SteeringOptions Lingering = SteeringOptions.CheckKernel | SteeringOptions.Lingering;
        Assert.Equal(0, _program.AddOwned(PacketBuilder.Tcp, loopback, (ushort)port, Lingering));
        Assert.Equal(Pass, RunTcp(loopback, 5555, loopback, port, Syn));
        Assert.Equal(1UL, Count(SteeringCounter.PassedKernelSocket));

        // What was begun with us goes on with us.
        Assert.Equal(Redirect, RunTcp(loopback, 5555, loopback, port, Ack));
        Assert.Equal(Redirect, RunTcp(loopback, 5555, loopback, port, SynAck));
        Assert.Equal(Redirect, RunTcp(loopback, 5555, loopback, port, 4));
        Assert.Equal(Redirect, RunTcp(loopback, 5555, loopback, port, 0x11));
        byte[] sent = PacketBuilder.Ipv4(
            PacketBuilder.Tcp, loopback, loopback, PacketBuilder.TcpSegment(port, 5555, Ack));
        Assert.Equal(Redirect, RunIcmp(3, sent));

        // Where we listen, or the kernel does not, the SYN is ours.
        Assert.Equal(0, _program.AddOwned(PacketBuilder.Tcp, loopback, (ushort)port, SteeringOptions.CheckKernel));
        Assert.Equal(Redirect, RunTcp(loopback, 5555, loopback, port, Syn));
        Assert.Equal(0, _program.AddOwned(PacketBuilder.Tcp, loopback, (ushort)port, Lingering));

        // Not only closed: a program that another test is just starting may still hold a copy of the socket.
        listener.Server.Shutdown(SocketShutdown.Both);
        listener.Stop();
        Assert.Equal(Redirect, RunTcp(loopback, 5555, loopback, port, Syn));
    }

    private int RunTcp(IpAddress source, int sourcePort, IpAddress destination, int destinationPort, byte flags) =>
        Run(PacketBuilder.Ipv4(
            PacketBuilder.Tcp, source, destination, PacketBuilder.TcpSegment(sourcePort, destinationPort, flags)));

    private int RunIcmp(byte type, ReadOnlySpan<byte> quoted) => Run(PacketBuilder.Ipv4(
        PacketBuilder.Icmp, s_remote, s_local, PacketBuilder.IcmpError(type, quoted)));

    private int Run(ReadOnlySpan<byte> packet) => _program.Run(PacketBuilder.Ethernet(EtherIpv4, packet));

    private ulong Count(SteeringCounter counter)
    {
        Assert.Equal(0, _program.ReadCounters(out SteeringCounters counters));
        return counters[counter];
    }
}
