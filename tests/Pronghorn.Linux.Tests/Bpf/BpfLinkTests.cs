// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Linq;
using Pronghorn.Lab;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Xunit;

namespace Pronghorn.Linux.Tests.Bpf;

/// <summary>Attaches the steering program to the loopback interface of a namespace.</summary>
public sealed class BpfLinkTests : IDisposable
{
    private readonly LabBpfFileSystem _files = new();
    private readonly NetworkNamespace _place = NetworkNamespace.Create(LabCleanup.CreatePrefix() + "-link");
    private readonly BpfProgram _program = Load();

    public void Dispose()
    {
        _program.Dispose();
        _place.Dispose();
        _files.Dispose();
    }

    [Fact]
    public void XdpLink_PinnedAndClosed_StaysAndIsReplacedInPlace()
    {
        string path = _files["link"];
        using (BpfLink link = Attach())
        {
            Assert.Equal(_program.Id, link.GetState().ProgramId);
            Assert.Equal(1, link.GetState().InterfaceIndex);
            link.Pin(path);
        }

        using BpfLink? again = BpfLink.TryOpenPinned(path);
        Assert.NotNull(again);
        using BpfProgram next = Load();
        again.Update(next, _program);
        Assert.Equal(next.Id, again.GetState().ProgramId);
        Assert.Equal(Errno.OperationNotPermitted, Assert.Throws<BpfException>(() => again.Update(next, _program)).ErrorNumber);
        Assert.Contains(AttachedId(next), _place.Run("ip", "link", "show", "lo"), StringComparison.Ordinal);
        Assert.Equal(0, again.Detach());
        Assert.DoesNotContain(AttachedId(next), _place.Run("ip", "link", "show", "lo"), StringComparison.Ordinal);
    }

    [Fact]
    public void Interface_WithAnotherProgram_RefusesAndSaysSo()
    {
        using BpfLink first = Attach();
        BpfException failure = Assert.Throws<BpfException>(() => Attach().Dispose());
        Assert.Equal(BpfStep.Attach, failure.Step);
        Assert.Contains("another XDP program", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void NoPin_TryOpenPinned_IsNull() => Assert.Null(BpfLink.TryOpenPinned(_files["absent"]));

    [Fact]
    public void NoCgroup_Attach_SaysSo()
    {
        BpfException failure = Assert.Throws<BpfException>(
            () => BpfLink.AttachCgroup(_program, _files.Root, BpfAttachType.Connect4).Dispose());
        Assert.Equal(BpfStep.Attach, failure.Step);
        Assert.Contains(_files.Root, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void LiveFrames_OfATestRun_GoThroughTheKernel()
    {
        // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        byte[] context = new byte[24];
        BitConverter.TryWriteBytes(context.AsSpan(4), 60);
        BitConverter.TryWriteBytes(context.AsSpan(12), 1);

        // An EtherType that is for experiments (IEEE 802).
        byte[] frame = new byte[60];
        (frame[12], frame[13]) = (0x88, 0xb5);
        NamespaceThread.Run(_place, () =>
        {
            var run = new BpfTestRun { Packet = frame, Context = context, Repeat = 1000, LiveBatch = 64 };
            Assert.Equal(0, _program.TestRun(run, out _));
            return true;
        });

        // The kernel got them, and nobody there wants them.
        Assert.Equal("1000", NamespaceThread.Run(_place, DroppedOnLoopback));
    }

    [Fact]
    public void Cookie_OfEachNamespace_DiffersAndStays()
    {
        Assert.Equal(0, NamespaceCookie.TryGet(out ulong own));
        ulong inside = NamespaceThread.Run(_place, CookieHere);
        Assert.NotEqual(own, inside);
        Assert.Equal(inside, NamespaceThread.Run(_place, CookieHere));
    }

    /// <summary>Received packets that were dropped: the fourth number behind the interface's name.</summary>
    private static string DroppedOnLoopback() =>
        File.ReadLines("/proc/thread-self/net/dev").Select(line => line.Split((char[])[' ', ':'], StringSplitOptions.RemoveEmptyEntries))
            .Single(words => words[0] == "lo")[4];

    private static ulong CookieHere()
    {
        Assert.Equal(0, NamespaceCookie.TryGet(out ulong cookie));
        return cookie;
    }

    private static string AttachedId(BpfProgram program) => string.Create(CultureInfo.InvariantCulture, $"prog/xdp id {program.Id}");

    private static BpfProgram Load()
    {
        using BpfObject opened = BpfObject.OpenResource(typeof(SteeringProgram).Assembly, "steer.bpf.o");
        opened.Load();
        return opened.GetProgram("pronghorn_steer");
    }

    private BpfLink Attach() =>
        NamespaceThread.Run(_place, () => BpfLink.AttachXdp(_program, 1, XdpAttachMode.Generic, out _));
}
