// SPDX-License-Identifier: Apache-2.0
using System;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using Pronghorn.Lab;
using Pronghorn.Linux.Bpf;
using Pronghorn.Memory;
using Xunit;

namespace Pronghorn.Devices.Tests;

[Collection("lab")]
public sealed class XdpDeviceTrafficTests(DeviceFixture fixture) : IClassFixture<DeviceFixture>
{
    private const byte Udp = 17;
    private const ushort Port = 7000;

    private static readonly IPEndPoint s_server = new(IPAddress.Parse(TwoHosts.ServerAddress), Port);

    [Theory]
    [InlineData(XdpAttachMode.Native)]
    [InlineData(XdpAttachMode.Generic)]
    public void OwnedPort_PacketsComeIn_AreAnsweredFromUserSpace(XdpAttachMode mode)
    {
        using XdpDevice device = fixture.OpenServer(new XdpDeviceOptions { AttachMode = mode });
        Assert.Equal(mode == XdpAttachMode.Generic, device.IsGenericMode);
        Assert.Equal(0, device.AddOwned(Udp, DeviceFixture.ServerAddress, Port, SteeringOptions.None));
        using Socket client = fixture.OpenClient();
        byte[] answer = new byte[2000];
        for (int i = 0; i < 300; i++)
        {
            byte[] question = Encoding.ASCII.GetBytes($"packet {i} {new string('x', i * 4)}");
            client.SendTo(question, s_server);
            Echo.Run(device, 1);
            int length = client.Receive(answer);
            Assert.Equal(question, answer[..length]);
        }

        XdpStatistics statistics = device.GetStatistics();
        Assert.Equal(300, statistics.Socket.Received);
        Assert.Equal(300, statistics.Socket.Transmitted);
        Assert.Equal(300, statistics.Socket.Completed);
        Assert.Equal(300UL, statistics.Steering[SteeringCounter.Redirected]);
        Assert.Equal(0, statistics.Socket.InvalidDescriptors);
    }

    [Fact]
    public void ManyPackets_Transmitted_LeaveWithOneKickAndNoFrameIsLost()
    {
        using XdpDevice device = fixture.OpenServer();
        Assert.Equal(0, device.AddOwned(Udp, DeviceFixture.ServerAddress, Port, SteeringOptions.None));
        using Socket client = fixture.OpenClient();
        client.ReceiveBufferSize = 1 << 20;
        int free = device.Frames.FreeCount;
        for (int i = 0; i < 200; i++)
        {
            client.SendTo([(byte)i, 1, 2, 3], s_server);
        }

        Echo.Run(device, 200);
        byte[] answer = new byte[100];
        for (int i = 0; i < 200; i++)
        {
            Assert.Equal(4, client.Receive(answer));
            Assert.Equal((byte)i, answer[0]);
        }

        device.ReapCompletions();
        Assert.True(device.Refill());
        Assert.Equal(free, device.Frames.FreeCount);
    }

    [Fact]
    public void FullRing_Kicked_NeedsOneCallForEach32PacketsAtMost()
    {
        using XdpDevice device = fixture.OpenServer();
        var packets = new FrameDescriptor[320];
        foreach (ref FrameDescriptor packet in packets.AsSpan())
        {
            Assert.True(device.Frames.TryRent(out int frame));
            packet = new FrameDescriptor(frame, 128, 60);
        }

        Assert.Equal(320, device.Transmit(packets));
        Assert.Equal(0, device.Kick());
        Assert.Equal(0, device.PendingTransmit);
        Assert.Equal(320, device.ReapCompletions());
        Assert.InRange(device.GetStatistics().Socket.Kicks, 1, 11);
    }

    [Fact]
    public void InterfaceDown_Transmitted_KeepsThePacketsAndSaysSo()
    {
        using XdpDevice device = fixture.OpenServer();
        Assert.True(device.Frames.TryRent(out int frame));
        fixture.Hosts.Server.Run("ip", "link", "set", TwoHosts.Interface, "down");
        try
        {
            Assert.Equal(1, device.Transmit([new FrameDescriptor(frame, 128, 60)]));
            Assert.Equal(-100, device.Kick());
            Assert.Equal(1, device.PendingTransmit);
            Assert.Equal(1, device.GetStatistics().Socket.KickFailed);
        }
        finally
        {
            fixture.Hosts.Server.Run("ip", "link", "set", TwoHosts.Interface, "up");
        }

        Assert.Equal(0, device.Kick());
        Assert.Equal(1, device.ReapCompletions());
    }

    [Fact]
    public void InterfaceRemoved_UnderTheDevice_FailsCallsAndDisposesCleanly()
    {
        using TwoHosts hosts = TwoHosts.Create();
        XdpOpenResult result = NamespaceThread.Run(hosts.Server, () => XdpDevice.Open(TwoHosts.Interface));
        Assert.True(result.Succeeded, result.Message);
        using XdpDevice device = result.Device;
        Assert.True(device.Frames.TryRent(out int frame));
        hosts.Client.Run("ip", "link", "delete", TwoHosts.Interface);
        Assert.Equal(1, device.Transmit([new FrameDescriptor(frame, 128, 60)]));
        Assert.True(device.Kick() < 0);
        Assert.Equal(0, device.Receive(new FrameDescriptor[8]));
        Assert.False(device.IsCorrupt);
    }

    [Fact]
    public void PortNotOwned_PacketsComeIn_StayWithTheKernel()
    {
        using XdpDevice device = fixture.OpenServer();
        Assert.Equal(0, device.AddOwned(Udp, DeviceFixture.ServerAddress, Port, SteeringOptions.None));
        using Socket server = DeviceFixture.OpenSocket(fixture.Hosts.Server, TwoHosts.ServerAddress, SocketType.Dgram, 7001);
        using Socket client = fixture.OpenClient();
        client.SendTo("hello"u8, new IPEndPoint(s_server.Address, 7001));
        Assert.Equal(5, server.Receive(new byte[100]));
        Assert.Equal(0, device.Receive(new FrameDescriptor[4]));
    }

    [Fact]
    public void OwnedPort_Removed_GoesBackToTheKernel()
    {
        using XdpDevice device = fixture.OpenServer();
        Assert.Equal(0, device.AddOwned(Udp, DeviceFixture.ServerAddress, Port, SteeringOptions.None));
        Assert.Equal(0, device.RemoveOwned(Udp, DeviceFixture.ServerAddress, Port));
        Assert.Equal(-2, device.RemoveOwned(Udp, DeviceFixture.ServerAddress, Port));
        using Socket server = DeviceFixture.OpenSocket(fixture.Hosts.Server, TwoHosts.ServerAddress, SocketType.Dgram, Port);
        using Socket client = fixture.OpenClient();
        client.SendTo("hello"u8, s_server);
        Assert.Equal(5, server.Receive(new byte[100]));
    }

    [Fact]
    public void FramesExhausted_PacketsComeIn_AreCountedAndReceptionGoesOnAfterRelease()
    {
        var options = new XdpDeviceOptions { FrameCount = 128, Rings = new(64, 64, 64, 64) };
        using XdpDevice device = fixture.OpenServer(options);
        Assert.Equal(0, device.AddOwned(Udp, DeviceFixture.ServerAddress, Port, SteeringOptions.None));
        using Socket client = fixture.OpenClient();
        var held = new FrameDescriptor[200];
        int count = 0;
        for (int i = 0; i < 160; i++)
        {
            client.SendTo("starve"u8, s_server);
            count += device.Receive(held.AsSpan(count));
        }

        Assert.Equal(128, count);
        Assert.Equal(0, device.Frames.FreeCount);
        XdpStatistics starved = device.GetStatistics();
        Assert.True(starved.Socket.FillStarved > 0);
        Assert.Equal(32UL, starved.Kernel.FillRingEmpty);

        Echo.Release(device, held.AsSpan(0, count));
        Assert.Equal(0, device.Receive(held));
        client.SendTo("again"u8, s_server);
        Echo.Run(device, 1);
        Assert.Equal(5, client.Receive(new byte[100]));
    }

    [Fact]
    public void Bursts_BetweenLooks_HaveMoreFramesPostedUpToTheRing()
    {
        var options = new XdpDeviceOptions { FrameCount = 1024, Rings = new(256, 256, 64, 64) };
        using XdpDevice device = fixture.OpenServer(options);
        Assert.Equal(0, device.AddOwned(Udp, DeviceFixture.ServerAddress, Port, SteeringOptions.None));
        using Socket client = fixture.OpenClient();
        Assert.Equal(1024 - 64, device.Frames.FreeCount);

        // A quarter of the ring at first; what a burst took of it doubles what the next one finds.
        Assert.Equal(64, Burst(device, client, 200));
        Assert.Equal(128, Burst(device, client, 200));
        Assert.Equal(200, Burst(device, client, 200));
        Assert.Equal(1024 - 256, device.Frames.FreeCount);
        Assert.Equal(136UL + 72UL, device.GetStatistics().Kernel.FillRingEmpty);
    }

    /// <summary>Sends datagrams and takes none of them before all are in or lost; the number that came in.</summary>
    private static int Burst(XdpDevice device, Socket client, int count)
    {
        ulong Seen() => device.GetStatistics().Steering[SteeringCounter.Redirected];
        ulong lost = device.GetStatistics().Kernel.FillRingEmpty;
        ulong before = Seen();
        for (int i = 0; i < count; i++)
        {
            client.SendTo("burst"u8, s_server);
            ulong sent = (ulong)i + 1;
            Assert.True(SpinWait.SpinUntil(() => Seen() - before == sent, 10_000), "a datagram did not arrive");
        }

        var taken = new FrameDescriptor[count];
        int total = 0;
        bool all = SpinWait.SpinUntil(
            () =>
            {
                total += device.Receive(taken.AsSpan(total));
                return (ulong)total + device.GetStatistics().Kernel.FillRingEmpty - lost == (ulong)count;
            },
            10_000);
        Assert.True(all, $"{total} of {count} datagrams came in");
        Echo.Release(device, taken.AsSpan(0, total));
        return total;
    }

    [Fact]
    public void TransmitRingFull_MoreTransmitted_TakesWhatFits()
    {
        var options = new XdpDeviceOptions { FrameCount = 512, Rings = new(64, 64, 64, 64) };
        using XdpDevice device = fixture.OpenServer(options);
        var packets = new FrameDescriptor[100];
        foreach (ref FrameDescriptor packet in packets.AsSpan())
        {
            Assert.True(device.Frames.TryRent(out int frame));
            packet = new FrameDescriptor(frame, 128, 60);
        }

        Assert.Equal(64, device.Transmit(packets));
        Assert.Equal(64, device.PendingTransmit);
        Assert.Equal(36, device.GetStatistics().Socket.TransmitRingFull);
        Assert.Equal(0, device.Kick());
        Assert.Equal(0, device.PendingTransmit);
        Assert.Equal(64, device.ReapCompletions());
        Assert.Equal(36, device.Transmit(packets.AsSpan(64)));
        Assert.Equal(0, device.Kick());
        Assert.Equal(36, device.ReapCompletions());
    }

    [Theory]
    [InlineData("1")]
    [InlineData("2")] // every SYN is answered by a cookie: the kernel has no record of who answers it
    public void LingeringEnd_KernelListens_ConnectsToTheKernel(string synCookies)
    {
        using XdpDevice device = fixture.OpenServer();
        fixture.Hosts.Server.Run("sysctl", "-qw", $"net.ipv4.tcp_syncookies={synCookies}");
        using Socket listener = DeviceFixture.OpenSocket(
            fixture.Hosts.Server, TwoHosts.ServerAddress, SocketType.Stream, Port);
        listener.Listen();
        const SteeringOptions Lingering = SteeringOptions.CheckKernel | SteeringOptions.Lingering;
        Assert.Equal(0, device.AddOwned(DeviceFixture.ServerAddress, Port, Lingering));
        using Socket client = fixture.OpenClient(SocketType.Stream);
        client.Connect(s_server);
        Assert.Equal(3, client.Send([1, 2, 3]));
        Assert.True(listener.Poll(TimeSpan.FromSeconds(10), SelectMode.SelectRead), "the kernel's listener got nothing");
        using Socket accepted = listener.Accept();
        accepted.ReceiveTimeout = 10_000;
        Assert.Equal(3, accepted.Receive(new byte[10]));
        Assert.Equal(0UL, device.GetStatistics().Steering[SteeringCounter.Redirected]);
        Assert.InRange(device.GetStatistics().Steering[SteeringCounter.PassedKernelSocket], 3UL, 1000UL);
    }

    [Fact]
    public void Descriptors_Listed_AreDistinctAndOpen()
    {
        using XdpDevice device = fixture.OpenServer();
        Span<int> descriptors = stackalloc int[16];
        descriptors = descriptors[..device.GetDescriptors(descriptors)];
        Assert.Equal(6, descriptors.Length);
        Assert.Contains(device.FileDescriptor, descriptors.ToArray());
        Assert.Equal(6, new System.Collections.Generic.HashSet<int>(descriptors.ToArray()).Count);
        Assert.Equal(3, device.GetDescriptors(descriptors[..3]));
    }

    [Fact]
    public void SteadyTraffic_Moved_AllocatesNothing()
    {
        using XdpDevice device = fixture.OpenServer();
        Assert.Equal(0, device.AddOwned(Udp, DeviceFixture.ServerAddress, Port, SteeringOptions.None));
        using Socket client = fixture.OpenClient();
        Exchange(device, client, 4);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Span<FrameDescriptor> batch = stackalloc FrameDescriptor[64];
        int taken = device.Receive(batch);
        _ = device.Transmit(batch[..taken]);
        _ = device.Kick();
        _ = device.ReapCompletions();
        _ = device.AddOwned(DeviceFixture.ServerAddress, 80);
        _ = device.RemoveOwned(DeviceFixture.ServerAddress, 80);
        _ = device.GetStatistics();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private static void Exchange(XdpDevice device, Socket client, int count)
    {
        byte[] answer = new byte[100];
        for (int i = 0; i < count; i++)
        {
            client.SendTo("warm"u8, s_server);
            Echo.Run(device, 1);
            Assert.Equal(4, client.Receive(answer));
            _ = device.AddOwned(DeviceFixture.ServerAddress, 80);
            _ = device.RemoveOwned(DeviceFixture.ServerAddress, 80);
            _ = device.GetStatistics();
        }

        client.SendTo("last"u8, s_server);
    }
}
