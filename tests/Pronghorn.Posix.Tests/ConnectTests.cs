// SPDX-License-Identifier: Apache-2.0
using System;
using System.Linq;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Posix.Tests;

/// <summary>connect(2).</summary>
public sealed class ConnectTests : IDisposable
{
    private static readonly IpAddress s_elsewhere = IpAddress.FromIpv4(0xc0a80001);
    private static readonly IpAddress s_loopback = IpAddress.FromIpv4(0x7f000001);

    private readonly TwoSystems _network = new();

    private TestSystem Near => _network.Near;

    private TestSystem Far => _network.Far;

    public void Dispose() => _network.Dispose();

    [Fact]
    public void Listening_BlockingConnect_WaitsUntilConnected()
    {
        Far.Listen(TwoSystems.Port);
        int fd = Near.Socket();
        Assert.Equal(SocketResult.Wait, Near.StartConnect(fd, Far.Address, TwoSystems.Port));
        Assert.Equal(DescriptorClass.Socket, Near.Kernel.GetClass(fd));
        _network.Exchange();
        Assert.Equal(0, Near.StartConnect(fd, Far.Address, TwoSystems.Port, resumed: true));
    }

    [Fact]
    public void NonBlocking_ConnectRepeated_TellsInProgressThenAlreadyThenSuccessThenConnected()
    {
        Far.Listen(TwoSystems.Port);
        int fd = Near.Socket(nonBlocking: true);
        Assert.Equal(-Error.InProgress, Near.StartConnect(fd, Far.Address, TwoSystems.Port));
        Assert.Equal(-Error.Already, Near.StartConnect(fd, Far.Address, TwoSystems.Port));
        Assert.Equal(0, Near.PollOne(fd, Polling.In | Polling.Out));
        _network.Exchange();
        Assert.Equal(0, Near.StartConnect(fd, Far.Address, TwoSystems.Port));
        Assert.Equal(-Error.IsConnected, Near.StartConnect(fd, Far.Address, TwoSystems.Port));
    }

    [Fact]
    public void Connected_BlockingConnect_IsConnectedAlready()
    {
        (int near, _) = _network.Connected();
        Assert.Equal(-Error.IsConnected, Near.Connect(near, Far.Address, TwoSystems.Port));
    }

    [Fact]
    public void NobodyListens_BlockingConnect_IsRefusedAndMayBeRepeated()
    {
        int fd = Near.Socket();
        Assert.Equal(-Error.ConnectionRefused, Near.Connect(fd, Far.Address, TwoSystems.Port));
        Far.Listen(TwoSystems.Port);
        Assert.Equal(0, Near.Connect(fd, Far.Address, TwoSystems.Port));
    }

    [Fact]
    public void NobodyListens_NonBlockingConnect_ShowsInEventsAndOption()
    {
        int fd = Near.Socket(nonBlocking: true);
        Near.StartConnect(fd, Far.Address, TwoSystems.Port);
        _network.Exchange();
        Assert.Equal(
            (int)(Polling.In | Polling.Out | Polling.ErrorEvent | Polling.HangUp),
            Near.PollOne(fd, Polling.In | Polling.Out));
        Assert.Equal(Error.ConnectionRefused, Near.Option(fd, OptionLevel.Socket, SocketOption.Error));
        Assert.Equal(0, Near.Option(fd, OptionLevel.Socket, SocketOption.Error));
    }

    [Fact]
    public void NobodyListens_NonBlockingConnectRepeated_TellsTheError()
    {
        int fd = Near.Socket(nonBlocking: true);
        Near.StartConnect(fd, Far.Address, TwoSystems.Port);
        _network.Exchange();
        Assert.Equal(-Error.ConnectionRefused, Near.StartConnect(fd, Far.Address, TwoSystems.Port));
        Assert.Equal(-Error.InProgress, Near.StartConnect(fd, Far.Address, TwoSystems.Port));
    }

    [Fact]
    public void NobodyAnswers_BlockingConnect_TimesOutAfterTheRetries()
    {
        Far.Driver.IsCut = true;
        Near.Driver.IsCut = true;
        int fd = Near.Socket();
        Near.Kernel.Options[(OptionLevel.Tcp, TcpOption.SynCount)] = 2;
        Instant start = _network.Now;
        Assert.Equal(-Error.TimedOut, Near.Connect(fd, Far.Address, TwoSystems.Port));

        // RFC 6298 2.1 and 5.5: 1 + 2 + 4 seconds.
        Assert.Equal(7, (_network.Now - start).Milliseconds / 1000);
    }

    [Fact]
    public void SendTimeout_ConnectUnanswered_IsInProgressAndGoesOn()
    {
        Near.Driver.IsCut = true;
        Far.Listen(TwoSystems.Port);
        int fd = Near.Socket();
        Near.Layer.Adopt(fd);
        Near.SetTime(fd, SocketOption.SendTimeout, Duration.FromMilliseconds(300));
        Assert.Equal(-Error.InProgress, Near.Connect(fd, Far.Address, TwoSystems.Port));
        Near.Driver.IsCut = false;
        _network.Run(Duration.FromSeconds(2));
        Assert.Equal(0, Near.StartConnect(fd, Far.Address, TwoSystems.Port));
    }

    public static TheoryData<string> KernelDestinations => ["loopback", "no route", "own address", "any"];

    [Theory]
    [MemberData(nameof(KernelDestinations))]
    public void DestinationNotOurs_Connect_IsTheKernels(string name)
    {
        IpAddress to = name switch
        {
            "loopback" => s_loopback,
            "no route" => s_elsewhere,
            "own address" => Near.Address,
            _ => IpAddress.AnyIpv4,
        };
        int fd = Near.Socket();
        Near.Layer.Adopt(fd);
        Assert.Equal(SocketResult.Kernel, Near.StartConnect(fd, to, TwoSystems.Port));
        Assert.Equal(DescriptorClass.Kernel, Near.Kernel.GetClass(fd));
        Assert.Equal(0, Near.Layer.SocketCount);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(15)]
    public void ShortAddress_Connect_IsTheKernelsToRefuse(int length)
    {
        int fd = Near.Socket();
        Span<byte> name = stackalloc byte[SocketAddress.Length];
        SocketAddress.Write(name, Far.Address, TwoSystems.Port);
        Assert.Equal(SocketResult.Kernel, Near.Layer.Connect(fd, name[..length], resumed: false));
    }

    [Fact]
    public void OtherFamily_Connect_IsTheKernelsToRefuse()
    {
        int fd = Near.Socket();
        Span<byte> name = stackalloc byte[SocketAddress.Length];
        SocketAddress.Write(name, Far.Address, TwoSystems.Port);
        name[0] = 0; // AF_UNSPEC
        Assert.Equal(SocketResult.Kernel, Near.Layer.Connect(fd, name, resumed: false));
    }

    [Fact]
    public void GivenToTheKernel_Socket_IsWatchedThereWithItsFlags()
    {
        int epoll = Near.Epoll();
        int fd = Near.Socket(nonBlocking: true);
        Near.Layer.Adopt(fd);
        Near.Watch(epoll, fd, Polling.In | Polling.EdgeTriggered);
        Near.Kernel[fd].Flags = FileControl.ReadWrite;
        Assert.Equal(SocketResult.Kernel, Near.StartConnect(fd, s_loopback, TwoSystems.Port));
        Assert.Equal((Polling.In | Polling.EdgeTriggered, (ulong)fd), Near.Kernel[epoll].Members[fd]);
        Assert.NotEqual(0, Near.Kernel[fd].Flags & FileControl.NonBlocking);
        Assert.Empty(Near.Events(epoll));
    }

    [Fact]
    public void CopiedThenGivenToTheKernel_EveryNumber_IsTheKernels()
    {
        int fd = Near.Socket();
        Near.Layer.Adopt(fd);
        int copy = Near.Duplicate(fd);
        Assert.Equal(SocketResult.Kernel, Near.StartConnect(fd, s_loopback, TwoSystems.Port));
        Assert.Equal(DescriptorClass.Kernel, Near.Kernel.GetClass(copy));
        Assert.Equal(-Error.BadDescriptor, Near.Layer.GetFlags(copy));

        // The record is another socket's now: the old copy must not reach it.
        int next = Near.Socket();
        Near.Layer.Adopt(next);
        Near.Close(copy);
        Assert.Equal(FileControl.ReadWrite, Near.Layer.GetFlags(next));
    }

    [Fact]
    public void Listener_Connect_IsConnectedAlready()
    {
        int fd = Near.Listen(TwoSystems.Port);
        Assert.Equal(-Error.IsConnected, Near.Connect(fd, Far.Address, TwoSystems.Port));
    }

    [Fact]
    public void NoBoundPort_Connect_ReservesAPortOfTheRangeInTheKernel()
    {
        Near.Layer.UseLocalPorts(50000, 50003);
        Far.Listen(TwoSystems.Port);
        int[] sockets = [Near.Socket(), Near.Socket(), Near.Socket(), Near.Socket()];
        Assert.All(sockets, fd => Assert.Equal(0, Near.Connect(fd, Far.Address, TwoSystems.Port)));
        int[] ports = [.. sockets.Select(fd => (int)Near.Kernel[fd].Port).Order()];
        Assert.Equal([50000, 50001, 50002, 50003], ports);
        int fifth = Near.Socket();
        Assert.Equal(-Error.AddressNotAvailable, Near.Connect(fifth, Far.Address, TwoSystems.Port));
        Assert.Equal(DescriptorClass.Candidate, Near.Kernel.GetClass(fifth));
    }

    [Fact]
    public void PortTakenInTheKernel_Connect_PassesItOver()
    {
        Near.Layer.UseLocalPorts(50000, 50001);
        Far.Listen(TwoSystems.Port);
        int other = Near.Socket();
        Near.Bind(other, IpAddress.AnyIpv4, 50000);
        int fd = Near.Socket();
        Assert.Equal(0, Near.Connect(fd, Far.Address, TwoSystems.Port));
        Assert.Equal(50001, Near.Kernel[fd].Port);
    }

    [Fact]
    public void BoundPort_Connect_KeepsIt()
    {
        Far.Listen(TwoSystems.Port);
        int fd = Near.Socket();
        Near.Bind(fd, Near.Address, 1234);
        Assert.Equal(0, Near.Connect(fd, Far.Address, TwoSystems.Port));
        Assert.Contains((Near.Address, (ushort)1234), Near.Driver.Owned.Keys);
    }

    [Fact]
    public void BoundToAnAddressOfTheKernel_Connect_IsTheKernels()
    {
        int fd = Near.Socket();
        Near.Bind(fd, s_elsewhere, 1234);
        Assert.Equal(SocketResult.Kernel, Near.StartConnect(fd, Far.Address, TwoSystems.Port));
    }

    [Fact]
    public void SteeringRefuses_Connect_FallsBackToTheKernelAndSaysWhy()
    {
        Near.Driver.OwnResult = -7; // E2BIG: the map is full
        int fd = Near.Socket();
        Assert.Equal(SocketResult.Fallback - 7, Near.StartConnect(fd, Far.Address, TwoSystems.Port));
        Assert.Equal(0, Near.Layer.SocketCount);
        Assert.Equal(DescriptorClass.Kernel, Near.Kernel.GetClass(fd));
    }

    [Fact]
    public void NoRecordForASocket_Connect_FallsBackToTheKernelAndSaysWhy()
    {
        // Beyond the table that the limit of descriptors gave at the start.
        const int Beyond = KernelModel.Size - 1;
        Near.Kernel.Open(new KernelFile(), DescriptorClass.Candidate, least: Beyond);
        using var layer = new SocketLayer(Near.Kernel, Near.Driver, Beyond, [Near.Device, Near.Netlink], TestSystem.InternalData);
        Span<byte> name = stackalloc byte[SocketAddress.Length];
        SocketAddress.Write(name, Far.Address, TwoSystems.Port);
        Assert.Equal(SocketResult.Fallback - Error.NoMemory, layer.Connect(Beyond, name, resumed: false));
    }

    [Fact]
    public void ConnectionOver_LocalEnd_IsGivenBackAfterTimeWait()
    {
        (int near, int far) = _network.Connected();
        Assert.Single(Near.Driver.Owned);
        Near.Close(near);
        Far.Close(far);
        _network.Run(Duration.FromSeconds(5));
        Assert.Equal(EndSteering.Lingering, Assert.Single(Near.Driver.Owned).Value);
        _network.Run(Duration.FromSeconds(70));
        Assert.Empty(Near.Driver.Owned);
    }

    [Theory]
    [InlineData(false, (byte)TcpState.Established)]
    [InlineData(true, (byte)TcpState.SynSent)]
    public void Connection_Names_AreTrue(bool cut, byte state)
    {
        Near.Driver.IsCut = cut;
        Far.Listen(TwoSystems.Port);
        int fd = Near.Socket(nonBlocking: true);
        Near.StartConnect(fd, Far.Address, TwoSystems.Port);
        _network.Exchange();
        Span<byte> name = stackalloc byte[SocketAddress.Length];
        uint length = 0;
        Assert.Equal(0, Near.Layer.GetName(fd, name, ref length, peer: false));
        Assert.True(SocketAddress.TryRead(name, out IpAddress local, out ushort port));
        Assert.Equal((Near.Address, Near.Kernel[fd].Port, 16u), (local, port, length));
        int result = Near.Layer.GetName(fd, name, ref length, peer: true);
        Assert.Equal((TcpState)state == TcpState.SynSent ? -Error.NotConnected : 0, result);
        if (result == 0)
        {
            Assert.True(SocketAddress.TryRead(name, out IpAddress remote, out port));
            Assert.Equal((Far.Address, TwoSystems.Port), (remote, port));
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    [InlineData(16)]
    [InlineData(64)]
    public void RoomOfAnyLength_Name_IsCutAndItsLengthTold(int room)
    {
        (int near, _) = _network.Connected();
        byte[] name = new byte[64];
        uint length = 0;
        Assert.Equal(0, Near.Layer.GetName(near, name.AsSpan(0, room), ref length, peer: true));
        Assert.Equal(16u, length);
        Assert.All(name[Math.Min(room, 16)..], one => Assert.Equal(0, one));
    }

    [Fact]
    public void Unconnected_Names_AreTheKernelsOrMissing()
    {
        int fd = Near.Socket();
        Near.Layer.Adopt(fd);
        uint length = 0;
        Assert.Equal(SocketResult.Kernel, Near.Layer.GetName(fd, default, ref length, peer: false));
        Assert.Equal(-Error.NotConnected, Near.Layer.GetName(fd, default, ref length, peer: true));
    }
}
