// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.IO;
using System.Linq;
using Pronghorn.Lab;
using Pronghorn.Linux.Bpf;
using Pronghorn.LoadBalancer.DataPlane;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>Attaching, following, replacing and removing the packet layer.</summary>
public sealed class PacketLayerTests(TcNetwork network) : IClassFixture<TcNetwork>
{
    [Fact]
    public void Start_AttachesToEdgesAndPods_AndSaysWhyNotByXdp()
    {
        Assert.Equal(6, network.Layer.GetAttachments().Count);
        Assert.DoesNotContain(network.Layer.GetAttachments(), attachment => attachment.Hook == PacketHook.Xdp);
        Assert.Contains(network.Layer.Notices, notice => notice.StartsWith("edge0: tc only", StringComparison.Ordinal));
    }

    [Fact]
    public void Refresh_PodComesAndGoes_IsFollowed()
    {
        int before = network.Layer.GetAttachments().Count;
        network.Node.Run("ip", "link", "add", "pod7", "type", "veth", "peer", "name", "other7");
        network.Refresh();
        Assert.Equal(before + 2, network.Layer.GetAttachments().Count);
        network.Node.Run("ip", "link", "delete", "pod7");
        network.Refresh();
        Assert.Equal(before, network.Layer.GetAttachments().Count);
        Assert.Equal(before, Directory.GetFiles(network.Pins.Links, "packet_*").Length);
    }

    [Fact]
    public void StartAgain_ReplacesProgramsInPlace_AndKeepsMaps()
    {
        PacketAttachment[] before = [.. network.Layer.GetAttachments()];
        ulong connections = network.Map("connections").Id;
        network.Start();
        PacketAttachment[] after = [.. network.Layer.GetAttachments()];
        Assert.Equal(before.Select(item => (item.InterfaceIndex, item.Hook)), after.Select(item => (item.InterfaceIndex, item.Hook)));
        Assert.All(before.Zip(after), pair => Assert.NotEqual(pair.First.ProgramId, pair.Second.ProgramId));
        using BpfMap pinned = BpfMap.OpenPinned(network.Pins.Map("connections"));
        Assert.Equal(connections, pinned.Id);
    }

    [Fact]
    public void OtherXdpProgram_OnTheEdge_IsNamed_AndTcServes()
    {
        var layer = new PacketLayer(network.Pins);
        int index = NamespaceThread.Run(
            network.Node, () => PacketInterface.List().Single(found => found.Name == "edge1").Index);
        using BpfObject opened = BpfObject.OpenResource(typeof(PacketLayer).Assembly, "service_xdp.bpf.o");
        opened.Load();
        using BpfProgram other = opened.GetProgram("pronghorn_service_xdp");
        using (BpfLink link = NamespaceThread.Run(
            network.Node, () => BpfLink.AttachXdp(other, index, XdpAttachMode.Native, out _)))
        {
            PacketLayerOptions options = network.Options with { Xdp = XdpChoice.Native };
            NamespaceThread.Run(network.Node, () =>
            {
                layer.Start(options, SocketLayerFixture.SmallMaps);
                return 0;
            });
        }

        Assert.Contains(
            layer.Notices,
            notice => notice.StartsWith("edge1: tc only", StringComparison.Ordinal)
                && notice.Contains($"id {other.Id}", StringComparison.Ordinal));
        Assert.Single(layer.GetAttachments(), attachment => attachment.Hook == PacketHook.Xdp);

        // As it was, for the other tests.
        network.Start();
        Assert.DoesNotContain(network.Layer.GetAttachments(), attachment => attachment.Hook == PacketHook.Xdp);
        Assert.Equal(-2, network.Map("devices").Lookup((uint)index, out DeviceValue _));
        layer.Dispose();
    }

    [Fact]
    public void MissingEdgeAndForwardingOff_AreSaid()
    {
        using var layer = new PacketLayer(network.Pins);
        network.Node.Run("sysctl", "-qw", "net.ipv4.conf.edge0.forwarding=0");
        NamespaceThread.Run(network.Node, () =>
        {
            layer.Start(network.Options with { EdgeInterfaces = ["edge0", "edge1", "eth9"] }, SocketLayerFixture.SmallMaps);
            return 0;
        });
        network.Node.Run("sysctl", "-qw", "net.ipv4.conf.edge0.forwarding=1");
        Assert.Contains(layer.Notices, notice => notice.Contains("no interface eth9", StringComparison.Ordinal));
        Assert.Contains(layer.Notices, notice => notice.Contains("net.ipv4.conf.edge0.forwarding is 0", StringComparison.Ordinal));
    }

    [Fact]
    public void Collector_RemovesWhatIsOver_AndCountsTheRest()
    {
        using BpfMap connections = BpfMap.Create("test_conns", BpfMapType.Hash, 40, 72, 20000);
        var collector = new ConnectionCollector(connections, network.Map("settings"));
        TimeSpan now = Stopwatch.GetElapsedTime(0);
        ulong Before(int seconds) => (ulong)(now - TimeSpan.FromSeconds(seconds)).TotalNanoseconds;
        ushort port = 0;
        void Add(Wire.IpProtocol protocol, ConnectionEntry entry) => PacketNode.Ok(
            connections.Update(new ConnectionKey { SourcePort = ++port, Protocol = protocol }, entry));

        for (int i = 0; i < 6000; i++)
        {
            Add(Wire.IpProtocol.Udp, new ConnectionEntry { LastSeen = Before(121) });
        }

        Add(Wire.IpProtocol.Udp, new ConnectionEntry { LastSeen = Before(100) });
        Add(Wire.IpProtocol.Udp, new ConnectionEntry { LastSeen = Before(100), IsReverse = 1 });
        Add(Wire.IpProtocol.Sctp, new ConnectionEntry { LastSeen = Before(100) });
        Add(Wire.IpProtocol.Tcp, new ConnectionEntry { LastSeen = Before(100) });
        Add(Wire.IpProtocol.Tcp, new ConnectionEntry { LastSeen = Before(100), IsAnswered = 1 });
        Add(Wire.IpProtocol.Tcp, new ConnectionEntry { LastSeen = Before(11), IsAnswered = 1, IsReset = 1 });
        Add(Wire.IpProtocol.Tcp, new ConnectionEntry { LastSeen = Before(11), IsAnswered = 1, ClientFinished = 1 });
        Add(Wire.IpProtocol.Tcp, new ConnectionEntry { LastSeen = Before(11), IsAnswered = 1, ClientFinished = 1, BackendFinished = 1 });

        Add(Wire.IpProtocol.Tcp, new ConnectionEntry { LastSeen = Before(11), IsAnswered = 1, ClientFinished = 1, Options = 1 });

        Assert.Equal(new ConnectionSweep(6009, 2, 1, 1, 6004), collector.Sweep(now));
        Assert.Equal(new ConnectionSweep(5, 2, 1, 1, 0), collector.Sweep(now));
    }
}
