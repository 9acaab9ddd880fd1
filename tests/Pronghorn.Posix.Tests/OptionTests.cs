// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using System.Text;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;
using Xunit;

namespace Pronghorn.Posix.Tests;

/// <summary>getsockopt(2), setsockopt(2), fcntl(2), ioctl(2).</summary>
public sealed class OptionTests : IDisposable
{
    private const int Ip = OptionLevel.Ip;
    private const int Socket = OptionLevel.Socket;
    private const int Tcp = OptionLevel.Tcp;

    private readonly TwoSystems _network = new();

    private TestSystem Near => _network.Near;

    private TestSystem Far => _network.Far;

    /// <summary>Level, name, value set, value read: what socket(7), tcp(7) and ip(7) say.</summary>
    public static TheoryData<int, int, int, int> Kept => new()
    {
        { Socket, SocketOption.KeepAlive, 1, 1 },
        { Socket, SocketOption.KeepAlive, 5, 1 },
        { Tcp, TcpOption.NoDelay, 1, 1 },
        { Tcp, TcpOption.NoDelay, 0, 0 },
        { Tcp, TcpOption.Cork, 7, 1 },
        { Tcp, TcpOption.KeepIdle, 60, 60 },
        { Tcp, TcpOption.KeepInterval, 32767, 32767 },
        { Tcp, TcpOption.KeepCount, 127, 127 },
        { Tcp, TcpOption.SynCount, 3, 3 },
        { Tcp, TcpOption.UserTimeout, 30000, 30000 },
        { Tcp, TcpOption.Linger2, 20, 20 },
        { Tcp, TcpOption.NotSentLowWater, 16384, 16384 },
        { Ip, IpOption.TimeToLive, 255, 255 },
        { Ip, IpOption.TimeToLive, -1, 64 },
        { Ip, IpOption.TypeOfService, 0x10, 0x10 },
    };

    /// <summary>Level, name, value, answer.</summary>
    public static TheoryData<int, int, int, int> Refused => new()
    {
        { Tcp, TcpOption.KeepIdle, 0, -Error.Invalid },
        { Tcp, TcpOption.KeepIdle, 32768, -Error.Invalid },
        { Tcp, TcpOption.KeepInterval, 0, -Error.Invalid },
        { Tcp, TcpOption.KeepCount, 128, -Error.Invalid },
        { Tcp, TcpOption.SynCount, 0, -Error.Invalid },
        { Tcp, TcpOption.UserTimeout, -1, -Error.Invalid },
        { Tcp, TcpOption.MaximumSegment, 87, -Error.Invalid },
        { Tcp, TcpOption.MaximumSegment, 32768, -Error.Invalid },
        { Tcp, 9999, 1, -Error.NoProtocolOption },
        { Ip, IpOption.TimeToLive, 0, -Error.Invalid },
        { Ip, IpOption.TimeToLive, 256, -Error.Invalid },
        { Socket, SocketOption.Type, 1, -Error.NoProtocolOption },
        { Socket, SocketOption.Error, 1, -Error.NoProtocolOption },
        { Socket, SocketOption.AcceptConnections, 1, -Error.NoProtocolOption },
        { 255, 1, 1, -Error.NoProtocolOption },
        { Socket, SocketOption.ReuseAddress, 1, SocketResult.Kernel },
        { Tcp, TcpOption.DeferAccept, 1, SocketResult.Kernel },
        { Tcp, TcpOption.FastOpen, 5, SocketResult.Kernel },
    };

    /// <summary>Level, name, value of a fresh connection.</summary>
    public static TheoryData<int, int, int> Fresh => new()
    {
        { Socket, SocketOption.Type, 1 },
        { Socket, SocketOption.Domain, 2 },
        { Socket, SocketOption.Protocol, 6 },
        { Socket, SocketOption.Error, 0 },
        { Socket, SocketOption.AcceptConnections, 0 },
        { Socket, SocketOption.KeepAlive, 0 },
        { Tcp, TcpOption.NoDelay, 0 },
        { Tcp, TcpOption.KeepIdle, 7200 },
        { Tcp, TcpOption.KeepInterval, 75 },
        { Tcp, TcpOption.KeepCount, 9 },
        { Tcp, TcpOption.SynCount, 6 },
        { Tcp, TcpOption.MaximumSegment, 1448 },
        { Ip, IpOption.TimeToLive, 64 },
        { Ip, 9999, SocketResult.Kernel },
        { Tcp, 9999, SocketResult.Kernel },
        { 255, 1, SocketResult.Kernel },
    };

    public void Dispose() => _network.Dispose();

    [Theory]
    [MemberData(nameof(Kept))]
    public void Set_OnAConnection_IsRead(int level, int name, int value, int expected)
    {
        (int near, _) = _network.Connected();
        Assert.Equal(0, Near.SetOption(near, level, name, value));
        Assert.Equal(expected, Near.Option(near, level, name));
    }

    [Theory]
    [MemberData(nameof(Kept))]
    public void Set_BeforeConnect_IsTheConnections(int level, int name, int value, int expected)
    {
        Far.Listen(TwoSystems.Port);
        int fd = Near.Socket();
        Near.Layer.Adopt(fd);
        Assert.Equal(0, Near.SetOption(fd, level, name, value));
        Assert.Equal(0, Near.Connect(fd, Far.Address, TwoSystems.Port));
        Assert.Equal(expected, Near.Option(fd, level, name));
    }

    [Theory]
    [MemberData(nameof(Kept))]
    public void Set_OnAListener_IsInherited(int level, int name, int value, int expected)
    {
        int listener = Far.Listen(TwoSystems.Port);
        Assert.Equal(0, Far.SetOption(listener, level, name, value));
        Near.Connect(Near.Socket(), Far.Address, TwoSystems.Port);
        int fd = (int)Far.Accept(listener);
        Assert.Equal(expected, Far.Option(fd, level, name));
    }

    [Theory]
    [MemberData(nameof(Refused))]
    public void BadValue_Set_IsRefused(int level, int name, int value, int expected)
    {
        (int near, _) = _network.Connected();
        int before = Near.Option(near, level, name);
        Assert.Equal(expected, Near.SetOption(near, level, name, value));
        Assert.Equal(before, Near.Option(near, level, name));
    }

    [Theory]
    [MemberData(nameof(Fresh))]
    public void Fresh_Connection_HasLinuxDefaults(int level, int name, int expected)
    {
        (int near, _) = _network.Connected();
        Assert.Equal(expected, Near.Option(near, level, name));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public void ShortValue_Set_IsInvalid(int length)
    {
        (int near, _) = _network.Connected();
        Assert.Equal(-Error.Invalid, Near.Layer.SetOption(near, Socket, SocketOption.KeepAlive, new byte[length]));
        Assert.Equal(-Error.Invalid, Near.Layer.SetOption(near, Tcp, TcpOption.NoDelay, new byte[length]));
        Assert.Equal(-Error.Invalid, Near.Layer.SetOption(near, Socket, SocketOption.Linger, new byte[length + 4]));
        Assert.Equal(-Error.Invalid, Near.Layer.SetOption(near, Socket, SocketOption.ReceiveTimeout, new byte[length + 12]));
    }

    [Fact]
    public void OneByte_IpOption_IsEnough()
    {
        (int near, _) = _network.Connected();
        Assert.Equal(0, Near.Layer.SetOption(near, Ip, IpOption.TypeOfService, [0x08]));
        Assert.Equal(8, Near.Option(near, Ip, IpOption.TypeOfService));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(100)]
    public void RoomOfAnyLength_Get_IsCutAndTheLengthTold(int room)
    {
        (int near, _) = _network.Connected();
        Near.SetOption(near, Tcp, TcpOption.KeepIdle, 0x01020304 & 32767);
        byte[] value = new byte[100];
        Assert.Equal(0, Near.Layer.GetOption(near, Tcp, TcpOption.KeepIdle, value.AsSpan(0, room), out uint length));
        Assert.Equal((uint)Math.Min(room, 4), length);
        Assert.All(value[(int)length..], one => Assert.Equal(0, one));
    }

    [Theory]
    [InlineData(SocketOption.ReceiveTimeout, 1500, 1, 500_000)]
    [InlineData(SocketOption.SendTimeout, 20, 0, 20_000)]
    [InlineData(SocketOption.ReceiveTimeoutNew, 60_000, 60, 0)]
    [InlineData(SocketOption.SendTimeoutNew, 0, 0, 0)]
    public void Timeouts_SetAndRead_AreTheSame(int name, long milliseconds, long seconds, long microseconds)
    {
        (int near, _) = _network.Connected();
        Assert.Equal(0, Near.SetTime(near, name, Duration.FromMilliseconds(milliseconds)));
        byte[] value = new byte[16];
        Assert.Equal(0, Near.Layer.GetOption(near, Socket, name, value, out uint length));
        Assert.Equal((16u, seconds, microseconds), (length, MemoryMarshal.Read<long>(value), MemoryMarshal.Read<long>(value.AsSpan(8))));
    }

    [Theory]
    [InlineData(0, -1)]
    [InlineData(0, 1_000_000)]
    public void MicrosecondsOutOfRange_Timeout_IsOutOfDomain(long seconds, long microseconds)
    {
        (int near, _) = _network.Connected();
        ReadOnlySpan<long> parts = [seconds, microseconds];
        Assert.Equal(-33, Near.Layer.SetOption(near, Socket, SocketOption.SendTimeout, MemoryMarshal.AsBytes(parts)));
    }

    [Fact]
    public void NegativeSeconds_Timeout_IsForEver()
    {
        (int near, _) = _network.Connected();
        ReadOnlySpan<long> parts = [-5, 0];
        Assert.Equal(0, Near.Layer.SetOption(near, Socket, SocketOption.ReceiveTimeout, MemoryMarshal.AsBytes(parts)));
        Assert.Equal(-1, Near.Layer.Timeout(near, 0));
    }

    [Fact]
    public void Linger_SetAndRead_IsTheSame()
    {
        (int near, _) = _network.Connected();
        byte[] value = new byte[8];
        Near.Layer.GetOption(near, Socket, SocketOption.Linger, value, out uint length);
        Assert.Equal((8u, 0, 0), (length, MemoryMarshal.Read<int>(value), MemoryMarshal.Read<int>(value.AsSpan(4))));
        Near.SetLinger(near, 7);
        Near.Layer.GetOption(near, Socket, SocketOption.Linger, value, out _);
        Assert.Equal((1, 7), (MemoryMarshal.Read<int>(value), MemoryMarshal.Read<int>(value.AsSpan(4))));
        Assert.Equal(7_000_000_000, Near.Layer.Timeout(near, 2));
    }

    [Theory]
    [InlineData(SocketOption.SendBuffer, 100_000, 200_000)]
    [InlineData(SocketOption.ReceiveBuffer, 100_000, 200_000)]
    [InlineData(SocketOption.SendBuffer, 1, 4608)]
    [InlineData(SocketOption.ReceiveBuffer, 1, 2304)]
    [InlineData(SocketOption.ReceiveBuffer, int.MaxValue, Limits.MaximumReceiveBuffer)]
    public void Buffers_Set_AreDoubledWithinTheirLimits(int name, int asked, int expected)
    {
        (int near, _) = _network.Connected();
        Assert.Equal(0, Near.SetOption(near, Socket, name, asked));
        Assert.Equal(expected, Near.Option(near, Socket, name));
    }

    [Theory]
    [InlineData("reno", 0)]
    [InlineData("cubic", 0)]
    [InlineData("vegas", -Error.NoEntry)]
    [InlineData("", -Error.NoEntry)]
    public void CongestionControl_Named_IsTaken(string name, int expected)
    {
        (int near, _) = _network.Connected();
        Assert.Equal(expected, Near.Layer.SetOption(near, Tcp, TcpOption.Congestion, Encoding.ASCII.GetBytes(name)));
        byte[] value = new byte[16];
        Assert.Equal(0, Near.Layer.GetOption(near, Tcp, TcpOption.Congestion, value, out uint length));
        Assert.Equal(16u, length);
        Assert.Equal(expected == 0 ? name : "cubic", Encoding.ASCII.GetString(value).TrimEnd('\0'));
    }

    [Fact]
    public void Information_State_IsLinuxs()
    {
        int listener = Far.Listen(TwoSystems.Port, 9);
        int idle = Near.Socket();
        Near.Layer.Adopt(idle);
        int near = Near.Socket();
        Near.Connect(near, Far.Address, TwoSystems.Port);
        _network.Exchange();
        Assert.Equal((7, 1, 10), (Information(Near, idle).State, Information(Near, near).State, Information(Far, listener).State));
        Assert.Equal((1u, 9u), (Information(Far, listener).Unacked, Information(Far, listener).Sacked));
        int far = (int)Far.Accept(listener);
        Near.Layer.Shutdown(near, 1);
        _network.Exchange();
        Assert.Equal((5, 8), (Information(Near, near).State, Information(Far, far).State));
        Assert.Equal(7, Information(Near, near).Options); // timestamps, SACK, window scale
        Assert.Equal(1500u, Information(Near, near).PathMtu);
    }

    [Fact]
    public void Information_Counters_AreTheConnections()
    {
        (int near, int far) = _network.Connected();
        Near.Send(near, new byte[10_000]);
        _network.Exchange();
        Assert.Equal((10_000ul, 10_000ul), (Information(Near, near).BytesSent, Information(Near, near).BytesAcked));
        Assert.Equal(10_000ul, Information(Far, far).BytesReceived);
        Assert.Equal((0u, 0u), (Information(Near, near).Unacked, Information(Near, near).NotSentBytes));
        Assert.InRange(Information(Near, near).Rtt, 90u, 50_000u);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(104)]
    [InlineData(232)]
    [InlineData(1024)]
    public void RoomOfAnyLength_Information_IsCut(int room)
    {
        (int near, _) = _network.Connected();
        Assert.Equal(0, Near.Layer.GetOption(near, Tcp, TcpOption.Information, new byte[room], out uint length));
        Assert.Equal((uint)Math.Min(room, Marshal.SizeOf<TcpInformation>()), length);
    }

    [Fact]
    public void WhatTheProgramDidInTheKernel_Adopt_TakesOver()
    {
        int fd = Near.Socket(nonBlocking: true);
        Near.Kernel.Options[(Tcp, TcpOption.NoDelay)] = 1;
        Near.Kernel.Options[(Tcp, TcpOption.KeepIdle)] = 33;
        Near.Kernel.Options[(Ip, IpOption.TimeToLive)] = 5;
        Assert.Equal(0, Near.Layer.Adopt(fd));
        Assert.Equal(FileControl.ReadWrite | FileControl.NonBlocking, Near.Layer.GetFlags(fd));
        Assert.Equal(
            (1, 33, 5),
            (Near.Option(fd, Tcp, TcpOption.NoDelay), Near.Option(fd, Tcp, TcpOption.KeepIdle), Near.Option(fd, Ip, IpOption.TimeToLive)));
        Assert.Equal(0, Near.Layer.Adopt(fd)); // another thread was first
        Assert.Equal(1, Near.Layer.SocketCount);
    }

    [Fact]
    public void NonBlocking_ByControl_IsTheFlag()
    {
        (int near, _) = _network.Connected();
        int value = 1;
        Assert.Equal(0, Near.Layer.InputOutputControl(near, 0x5421, ref value)); // FIONBIO
        Assert.Equal(FileControl.ReadWrite | FileControl.NonBlocking, Near.Layer.GetFlags(near));
        value = 0;
        Near.Layer.InputOutputControl(near, 0x5421, ref value);
        Assert.Equal(FileControl.ReadWrite, Near.Layer.GetFlags(near));
    }

    private static TcpInformation Information(TestSystem system, int fd)
    {
        byte[] value = new byte[Marshal.SizeOf<TcpInformation>()];
        Assert.Equal(0, system.Layer.GetOption(fd, Tcp, TcpOption.Information, value, out _));
        return MemoryMarshal.Read<TcpInformation>(value);
    }
}
