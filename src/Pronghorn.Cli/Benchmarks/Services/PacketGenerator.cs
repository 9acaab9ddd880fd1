// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Linq;
using System.Runtime.InteropServices;
using System.Threading;
using Pronghorn.Lab;
using Pronghorn.Linux;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.Wire;

namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>What a run of the generator came to.</summary>
/// <param name="Sent">Packets sent.</param>
/// <param name="Delivered">Packets that arrived in the backend's pod meanwhile.</param>
/// <param name="Seconds">How long it ran.</param>
internal readonly record struct PacketRun(long Sent, long Delivered, double Seconds)
{
    /// <summary>Packets delivered per second.</summary>
    internal double Rate => Delivered / Seconds;
}

/// <summary>
/// Sends UDP packets from outside to node ports, as live frames (BPF_PROG_TEST_RUN) of bpf/bench_generator.bpf.c, and counts them by XDP
/// where they arrive. Everything runs on the one processor that sends.
/// </summary>
internal sealed class PacketGenerator : IDisposable
{
    private const int PacketLength = 60;
    private const int Batch = 64;
    private const int Interrupted = 4;
    private const int FewestFramesARun = 1024;
    private const int MostFramesARun = 65_536;
    private const uint FirstSource = (198u << 24) | (18u << 16);

    private readonly ServiceNode _node;
    private readonly BpfObject _object;
    private readonly BpfProgram _generate;
    private readonly BpfMap _settings;
    private readonly BpfMap _delivered;
    private readonly BpfLink[] _links;
    private GeneratorSettings _current;

    private PacketGenerator(ServiceNode node, BpfObject loaded, BpfLink[] links)
    {
        _node = node;
        _object = loaded;
        _links = links;
        _generate = loaded.GetProgram("bench_generate");
        _settings = loaded.GetMap("generator");
        _delivered = loaded.GetMap("delivered");
    }

    /// <summary>Loads the programs; a veth accepts redirected frames only with an XDP program on both its ends.</summary>
    /// <param name="node">The node.</param>
    /// <param name="ownsEdge">Whether the node's edge has an XDP program already.</param>
    /// <param name="countsAtEdge">Whether packets end at the node's edge: what the generator comes to alone.</param>
    internal static PacketGenerator Create(ServiceNode node, bool ownsEdge, bool countsAtEdge)
    {
        try
        {
            BpfObject loaded = BpfObject.OpenResource(typeof(PacketGenerator).Assembly, "bench_generator.bpf.o");
            loaded.Load();
            using BpfProgram pass = loaded.GetProgram("bench_pass");
            using BpfProgram count = loaded.GetProgram("bench_count");
            BpfLink?[] links =
            [
                Attach(node.External, ServiceNode.Interface, pass),
                ownsEdge ? null : Attach(node.Node, ServiceNode.EdgeInterface, countsAtEdge ? count : pass),
                Attach(node.Node, ServiceNode.PodInterface(0), pass),
                Attach(node.Pods[0], ServiceNode.Interface, count),
            ];
            return new PacketGenerator(node, loaded, [.. links.OfType<BpfLink>()]);
        }
        catch (BpfException failure)
        {
            throw new CommandException($"the packet generator cannot be set up: {failure.Message}");
        }
    }

    /// <summary>Index of the node's interface to the first pod.</summary>
    internal int PodIndex => Query(_node.Node, ServiceNode.PodInterface(0)).Index;

    /// <summary>Hardware address of the node's interface to the first pod.</summary>
    internal string PodMac => Query(_node.Node, ServiceNode.PodInterface(0)).Mac.ToString();

    /// <summary>Hardware address of the first pod.</summary>
    internal string BackendMac => Query(_node.Pods[0], ServiceNode.Interface).Mac.ToString();

    /// <summary>Says where packets go.</summary>
    /// <param name="flows">Different flows; they are used in turn, beginning where the last ones ended.</param>
    /// <param name="ports">Node ports, 1 to 8.</param>
    internal void Aim(long flows, params int[] ports)
    {
        NetworkDevice own = Query(_node.External, ServiceNode.Interface);
        NetworkDevice edge = Query(_node.Node, ServiceNode.EdgeInterface);
        _ = _settings.Lookup(0u, out GeneratorSettings before);
        _current = new GeneratorSettings
        {
            Next = before.Next,
            Flows = (ulong)flows,
            Interface = (uint)own.Index,
            Destination = BitConverter.ToUInt32(System.Net.IPAddress.Parse(ServiceNode.NodeAddress).GetAddressBytes()),
            FirstSource = FirstSource,
            PortCount = (uint)ports.Length,
        };
        for (int i = 0; i < ports.Length; i++)
        {
            _current.Ports[i] = (NetworkUInt16)(ushort)ports[i];
        }

        edge.Mac.Write(_current.DestinationMac);
        own.Mac.Write(_current.SourceMac);
        Check(_settings.Update(0u, _current), "the generator's settings");
    }

    /// <summary>Sends for a time, or until a number of packets is sent.</summary>
    internal PacketRun Run(TimeSpan time, long limit, CancellationToken cancellation) =>
        NamespaceThread.Run(_node.External, () => RunHere(time, limit, cancellation));

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (BpfLink link in _links)
        {
            link.Dispose();
        }

        _generate.Dispose();
        _settings.Dispose();
        _delivered.Dispose();
        _object.Dispose();
    }

    private static BpfLink Attach(NetworkNamespace place, string name, BpfProgram program)
    {
        int index = Query(place, name).Index;
        return NamespaceThread.Run(place, () => BpfLink.AttachXdp(program, index, XdpAttachMode.Native, out _));
    }

    private static NetworkDevice Query(NetworkNamespace place, string name) => NamespaceThread.Run(place, () =>
        InterfaceName.TryCreate(name, out InterfaceName asName) && NetworkDevice.Query(asName, out NetworkDevice device) == 0
            ? device
            : throw new CommandException($"no interface {name} in {place.Name}"));

    private static void Check(int result, string what)
    {
        if (result < 0)
        {
            throw new CommandException($"{what}: error {-result}");
        }
    }

    private PacketRun RunHere(TimeSpan time, long limit, CancellationToken cancellation)
    {
        byte[] packet = new byte[PacketLength];
        long before = ReadDelivered();
        long sent = 0;
        long frames = FewestFramesARun;
        long began = Stopwatch.GetTimestamp();
        TimeSpan elapsed;
        do
        {
            int now = (int)Math.Min(frames, limit - sent);
            int error = _generate.TestRun(new BpfTestRun { Packet = packet, Repeat = now, LiveBatch = Math.Min(Batch, now) }, out _);
            if (error is not (0 or -Interrupted))
            {
                throw new CommandException($"live frames failed with error {-error}; they need Linux 5.18");
            }

            // How many went before a signal is not told; they are counted where they arrive.
            sent += error == 0 ? now : 0;
            elapsed = Stopwatch.GetElapsedTime(began);

            // A run costs something to begin and cannot be ended in between: as many frames as are likely to fit into the time.
            frames = sent == 0 ? frames : Math.Clamp((long)(sent * ((time / elapsed) - 1)), FewestFramesARun, MostFramesARun);
        }
        while (sent < limit && elapsed < time && !cancellation.IsCancellationRequested);

        double seconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
        return new PacketRun(sent, ReadDelivered() - before, seconds);
    }

    private long ReadDelivered()
    {
        ulong[] values = new ulong[BpfMap.PossibleProcessors];
        Check(_delivered.LookupPerProcessor(0u, values), "the counter of delivered packets");
        return (long)values.Aggregate((sum, value) => sum + value);
    }

    /// <summary>struct generator of bpf/bench_generator.bpf.c.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct GeneratorSettings
    {
        public ulong Next;
        public ulong Flows;
        public uint Interface;
        public uint Destination;
        public uint FirstSource;
        public uint PortCount;
        public EightPorts Ports;
        public SixOctets DestinationMac;
        public SixOctets SourceMac;
        private readonly uint _reserved;
    }

    [System.Runtime.CompilerServices.InlineArray(8)]
    private struct EightPorts
    {
        private NetworkUInt16 _first;
    }

    [System.Runtime.CompilerServices.InlineArray(6)]
    private struct SixOctets
    {
        private byte _first;
    }
}
