// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Pronghorn.Handoff.Steering;
using Pronghorn.Lab;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;
using SteeringCounter = Pronghorn.Handoff.Steering.SteeringCounter;

namespace Pronghorn.Handoff.Tests.Steering;

/// <summary>
/// The programs of bpf/handoff.bpf.c, attached nowhere, in a namespace with interfaces that lead nowhere: packets are put to them by
/// BPF_PROG_TEST_RUN.
/// </summary>
public sealed class VerdictNode : IDisposable
{
    public const uint Pass = uint.MaxValue; // TC_ACT_UNSPEC
    public const uint Drop = 2;
    public const uint Redirect = 7;
    public const int NarrowMtu = 1280;

    // Of struct __sk_buff.
    private const int ContextLength = 192;
    private const int IngressInterfaceOffset = 36;
    private const int InterfaceOffset = 40;
    private const int SegmentSizeOffset = 176;

    private const string LocalIpv4 = "192.0.2.10";
    private const string LocalIpv6 = "2001:db8::a";
    private const ushort LocalPort = 80;
    private const long NanosecondsOfAnHour = 3_600_000_000_000;

    private readonly NetworkNamespace _place;
    private readonly BpfObject _opened;
    private readonly BpfMap _settings;
    private readonly BpfMap _counters;
    private readonly BpfMap _inbound;
    private readonly BpfMap _outbound;
    private readonly BpfMap _shared;
    private readonly BpfMap _seeking;
    private SeekingEntry _seekingNow;
    private ushort _port = 1000;

    public VerdictNode()
    {
        LabCleanup.RemoveStale();
        _place = NetworkNamespace.Create(LabCleanup.CreatePrefix() + "-verdict");
        _opened = BpfObject.OpenResource(typeof(SteeringLayer).Assembly, "handoff.bpf.o");
        _opened.Load();
        Ingress = _opened.GetProgram("pronghorn_handoff_ingress");
        Egress = _opened.GetProgram("pronghorn_handoff_egress");
        _settings = _opened.GetMap("handoff_settings");
        _counters = _opened.GetMap("handoff_counters");
        _inbound = _opened.GetMap("handoff_inbound");
        _outbound = _opened.GetMap("handoff_outbound");
        _shared = _opened.GetMap("handoff_shared");
        _seeking = _opened.GetMap("handoff_seeking");
        Tables = new SteeringTables(_inbound, _outbound);
        Peers = MakeInterface("peers", 1500);
        Way = MakeInterface("way", 1500);
        NarrowWay = MakeInterface("narrow", NarrowMtu);
        Tap = MakeInterface("hold", 1500);
        _place.Run("ip", "link", "set", "lo", "up");
        _place.Run("ip", "address", "add", LocalIpv4 + "/32", "dev", "lo");
        _place.Run("ip", "address", "add", LocalIpv6 + "/128", "dev", "lo", "nodad");
    }

    public BpfProgram Ingress { get; }

    public BpfProgram Egress { get; }

    public SteeringTables Tables { get; }

    /// <summary>Where peers come in.</summary>
    public int Peers { get; }

    /// <summary>Where packets to another node leave.</summary>
    public int Way { get; }

    /// <summary>The same, with a small MTU.</summary>
    public int NarrowWay { get; }

    /// <summary>Stands for the device that holds packets.</summary>
    public int Tap { get; }

    /// <summary>Ends of a connection of its own: this node's, the peer's, and another node's, whose port differs.</summary>
    public (TcpEnd Local, TcpEnd Remote, TcpEnd Target) NewEnds(bool isIpv6)
    {
        ushort port = _port++;
        return isIpv6
            ? (End(LocalIpv6, LocalPort), End("2001:db8:1::c", port), End("2001:db8::b", 8080))
            : (End(LocalIpv4, LocalPort), End("198.51.100.7", port), End("192.0.2.11", 8080));
    }

    public ulong Count(SteeringCounter counter)
    {
        var values = new ulong[BpfMap.PossibleProcessors];
        Assert.Equal(0, _counters.LookupPerProcessor((uint)counter, values.AsSpan()));
        ulong sum = 0;
        foreach (ulong value in values)
        {
            sum += value;
        }

        return sum;
    }

    /// <summary>Says which device holds packets; 0: none.</summary>
    public void SetTap(int index) => Assert.Equal(0, _settings.Update(0u, (uint)index));

    /// <summary>Whether a daemon is there that asks other nodes, and is expected: for the next hour, or since an hour not.</summary>
    public void SetSeeking(bool isThere, bool? isExpected = null)
    {
        _seekingNow.AsksUntil = FromNow(isThere);
        _seekingNow.DropsUntil = FromNow(isExpected ?? isThere);
        Assert.Equal(0, _seeking.Update(0u, _seekingNow));
    }

    /// <summary>Says whether no more connections can be asked for now: for the next hour, or not at all.</summary>
    public void SetSeekLimit(bool isReached)
    {
        _seekingNow.Next = FromNow(isReached);
        Assert.Equal(0, _seeking.Update(0u, _seekingNow));
    }

    /// <summary>Says whether other nodes have this one's addresses too.</summary>
    public void SetShared(bool isShared)
    {
        foreach (string address in (string[])[LocalIpv4, LocalIpv6])
        {
            MapAddress key = MapAddress.From(IpAddress.Parse(address));
            Assert.True(isShared ? _shared.Update(key, 1u) == 0 : _shared.Delete(key) <= 0);
        }
    }

    /// <summary>A listener at the end that <see cref="NewEnds"/> says.</summary>
    public Socket Listen(bool isIpv6) => NamespaceThread.Run(_place, () =>
    {
        var end = new IPEndPoint(IPAddress.Parse(isIpv6 ? LocalIpv6 : LocalIpv4), LocalPort);
        var listener = new Socket(end.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        ServerSocket.Listen(listener, end, backlog: 16);
        return listener;
    });

    /// <summary>A connection of this node's to itself, at such a listener.</summary>
    public Socket Connect(bool isIpv6) => NamespaceThread.Run(_place, () =>
    {
        var address = IPAddress.Parse(isIpv6 ? LocalIpv6 : LocalIpv4);
        var made = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        made.Connect(address, LocalPort);
        return made;
    });

    internal (uint Verdict, TestFrame Frame) Run(BpfProgram program, TestFrame frame, int interfaceIndex, int ingressIndex = 0)
    {
        (uint verdict, byte[] left) = Run(program, frame.Build(), interfaceIndex, ingressIndex);
        return (verdict, TestFrame.Read(left));
    }

    /// <param name="program">What is run.</param>
    /// <param name="frame">The frame.</param>
    /// <param name="interfaceIndex">The interface at which it is.</param>
    /// <param name="ingressIndex">The interface by which it came; 0: from this node.</param>
    /// <param name="segmentSize">Octets of data in each segment of a frame that holds many; 0: it is one.</param>
    internal (uint Verdict, byte[] Frame) Run(
        BpfProgram program, byte[] frame, int interfaceIndex, int ingressIndex = 0, int segmentSize = 0) =>
        NamespaceThread.Run(_place, () =>
        {
            byte[] context = new byte[ContextLength];
            MemoryMarshal.Write(context.AsSpan(IngressInterfaceOffset), ingressIndex);
            MemoryMarshal.Write(context.AsSpan(InterfaceOffset), interfaceIndex);
            MemoryMarshal.Write(context.AsSpan(SegmentSizeOffset), segmentSize);
            byte[] left = new byte[frame.Length + 256];
            int error = program.TestRun(
                new BpfTestRun { Packet = frame, PacketOut = left, Context = context, Repeat = 1 }, out BpfTestResult result);
            Assert.True(error == 0, $"BPF_PROG_TEST_RUN: {error}");
            return (result.Verdict, left[..result.PacketLength]);
        });

    /// <summary>A frame that is nobody's: the program leaves it to the kernel as it is.</summary>
    internal void AssertPassesUntouched(BpfProgram program, byte[] frame, int ingressIndex = 0)
    {
        (uint verdict, byte[] left) = Run(program, frame, Peers, ingressIndex);
        Assert.Equal(Pass, verdict);
        Assert.Equal(frame, left);
    }

    public void Dispose()
    {
        Tables.Dispose();
        _settings.Dispose();
        _counters.Dispose();
        _shared.Dispose();
        _seeking.Dispose();
        Ingress.Dispose();
        Egress.Dispose();
        _opened.Dispose();
        _place.Dispose();
    }

    // bpf_ktime_get_ns() an hour from now or an hour ago: no test runs for so long. Soon after the start of a machine 1 is long ago.
    private static ulong FromNow(bool isAhead) =>
        (ulong)Math.Max(Libc.MonotonicNanoseconds() + (isAhead ? NanosecondsOfAnHour : -NanosecondsOfAnHour), 1);

    private static TcpEnd End(string address, ushort port) => new(IpAddress.Parse(address), port);

    private int MakeInterface(string name, int mtu)
    {
        string limit = mtu.ToString(CultureInfo.InvariantCulture);
        _place.Run("ip", "link", "add", name, "mtu", limit, "up", "type", "veth", "peer", "name", name + "-end");
        string index = _place.Run("cat", $"/sys/class/net/{name}/ifindex");
        return int.Parse(index, NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture);
    }
}
