// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.Linq;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Netlink;

namespace Pronghorn.LoadBalancer.DataPlane;

/// <summary>
/// The packet layer in the kernel: bpf/service_xdp.bpf.c and bpf/service_tc.bpf.c on edge interfaces, the latter on pod interfaces. Links
/// and maps are pinned, so it works on when this process ends; starting again replaces the programs in place.
/// </summary>
/// <remarks>Not for use by several threads at once. Needs tcx (Linux 6.6).</remarks>
public sealed class PacketLayer : IDisposable
{
    private const string Prefix = "packet_";
    private const ushort DeviceRedirect = 1;

    private readonly PinLayout _pins;
    private readonly List<string> _notices = [];
    private PacketLayerOptions _options = new();
    private BpfProgram? _xdp;
    private BpfProgram? _ingress;
    private BpfProgram? _egress;
    private BpfProgram? _toPod;
    private BpfMap? _devices;

    /// <summary>Names the layer of an instance; starts nothing.</summary>
    public PacketLayer(PinLayout pins)
    {
        ArgumentNullException.ThrowIfNull(pins);
        _pins = pins;
    }

    /// <summary>What of the kernel it needs.</summary>
    public static ImmutableArray<BpfFeature> Features { get; } = [BpfFeature.TcxLinks, BpfFeature.XdpLinks];

    /// <summary>What somebody should know of the last <see cref="Start"/> or <see cref="Refresh"/>: each a sentence.</summary>
    public IReadOnlyList<string> Notices => _notices;

    /// <summary>
    /// Loads the programs and attaches them to the interfaces of the calling thread's network namespace, or replaces those that are
    /// attached.
    /// </summary>
    /// <param name="options">Which interfaces, and how.</param>
    /// <param name="sizes">Sizes of the maps; must be those of pinned maps, if there are any.</param>
    /// <exception cref="BpfException">
    /// The kernel lacks a feature, or a program or a link failed. An edge interface that is not there, or that has another XDP
    /// program, is a notice.
    /// </exception>
    public void Start(PacketLayerOptions options, MapSizes sizes)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(sizes);
        BpfFeature.Require(Features);
        _options = options;
        _pins.Create();
        Unload();
        using BpfObject xdp = Load("service_xdp.bpf.o", sizes);
        using BpfObject tc = Load("service_tc.bpf.o", sizes);
        _xdp = xdp.GetProgram("pronghorn_service_xdp");
        _ingress = tc.GetProgram("pronghorn_service_ingress");
        _egress = tc.GetProgram("pronghorn_service_egress");
        _toPod = tc.GetProgram("pronghorn_service_to_pod");
        _devices = xdp.GetMap("devices");
        Refresh(PacketInterface.List());
    }

    /// <summary>Attaches to interfaces that have come, replaces older programs, and forgets interfaces that have gone.</summary>
    /// <param name="interfaces">All interfaces of the calling thread's network namespace.</param>
    /// <exception cref="InvalidOperationException">The layer is not started.</exception>
    public void Refresh(IReadOnlyList<PacketInterface> interfaces)
    {
        ArgumentNullException.ThrowIfNull(interfaces);
        if (_ingress is null || _egress is null || _toPod is null)
        {
            throw new InvalidOperationException("the packet layer is not started");
        }

        _notices.Clear();
        HashSet<string> wanted = [];
        foreach (PacketInterface found in interfaces)
        {
            bool isEdge = _options.EdgeInterfaces.Contains(found.Name);
            if (isEdge || _options.IsPodInterface(found.Name))
            {
                Attach(found, PacketHook.Ingress, _ingress, wanted);
                Attach(found, PacketHook.Egress, isEdge ? _egress : _toPod, wanted);
            }

            if (isEdge)
            {
                AttachXdp(found, wanted);
                CheckForwarding(found.Name);
            }
        }

        foreach (string missing in _options.EdgeInterfaces.Where(name => interfaces.All(found => found.Name != name)))
        {
            _notices.Add($"there is no interface {missing}: its packets are served once it comes");
        }

        Sweep(wanted);
    }

    /// <summary>The programs that run.</summary>
    public IReadOnlyList<PacketAttachment> GetAttachments()
    {
        List<PacketAttachment> attachments = [];
        foreach (string name in LinkNames())
        {
            using BpfLink? link = BpfLink.TryOpenPinned(_pins.Link(name));
            if (link?.GetState() is { InterfaceIndex: not 0 } state)
            {
                attachments.Add(new PacketAttachment(state.InterfaceIndex, HookOf(name), state.ProgramId));
            }
        }

        return attachments;
    }

    /// <summary>Detaches all. Connections through services end. Does nothing when nothing is attached.</summary>
    public void Stop()
    {
        Sweep([]);
        Unload();
    }

    /// <summary>Lets go of the programs; what is attached stays.</summary>
    public void Dispose() => Unload();

    private static PacketHook HookOf(string link) => link[Prefix.Length..] switch
    {
        ['x', ..] => PacketHook.Xdp,
        ['i', ..] => PacketHook.Ingress,
        _ => PacketHook.Egress,
    };

    // Interfaces' names may hold characters that the BPF file system does not take.
    private static string LinkName(int index, PacketHook hook)
    {
        string place = hook switch { PacketHook.Xdp => "xdp", PacketHook.Ingress => "in", _ => "out" };
        return string.Create(CultureInfo.InvariantCulture, $"{Prefix}{place}_{index}");
    }

    private BpfObject Load(string resource, MapSizes sizes)
    {
        BpfObject opened = BpfObject.OpenResource(typeof(PacketLayer).Assembly, resource, _pins.Folder);
        try
        {
            sizes.ApplyTo(opened);

            // maglev_entries, the first variable there: the verifier compares it with the tables' size.
            opened.SetReadOnlyData(0, sizes.MaglevSize);
            opened.Load();
            return opened;
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    private List<string> LinkNames() => Directory.Exists(_pins.Links)
        ? Directory.EnumerateFiles(_pins.Links, Prefix + "*").Select(path => Path.GetFileName(path)!).ToList()
        : [];

    private void Attach(PacketInterface to, PacketHook hook, BpfProgram program, HashSet<string> wanted)
    {
        string name = LinkName(to.Index, hook);
        wanted.Add(name);
        if (!Replace(name, to.Index, program))
        {
            BpfAttachType type = hook == PacketHook.Ingress ? BpfAttachType.TcxIngress : BpfAttachType.TcxEgress;
            using BpfLink link = BpfLink.AttachTcx(program, to.Index, type);
            link.Pin(_pins.Link(name));
        }
    }

    /// <summary>XDP where it is wanted and can be; tc on the same interface does all that XDP does not.</summary>
    private void AttachXdp(PacketInterface to, HashSet<string> wanted)
    {
        if (_options.Xdp == XdpChoice.Off || _xdp is null || _devices is null)
        {
            return;
        }

        if (_options.Xdp == XdpChoice.Automatic && to.Kind.Length > 0)
        {
            _notices.Add($"{to.Name}: tc only, because it is a virtual interface ({to.Kind}), whose frames may lack their checksums");
            return;
        }

        string name = LinkName(to.Index, PacketHook.Xdp);
        try
        {
            if (!Replace(name, to.Index, _xdp))
            {
                using BpfLink link = BpfLink.AttachXdp(_xdp, to.Index, XdpAttachMode.Native, out _);
                link.Pin(_pins.Link(name));
            }

            wanted.Add(name);
            _devices.Update((uint)to.Index, new DeviceValue { Lower = (uint)to.Index, Flags = DeviceRedirect });
        }
        catch (BpfException exception)
        {
            _notices.Add($"{to.Name}: tc only, because XDP is not to be had: {Explain(to, exception)}");
        }
    }

    private static string Explain(PacketInterface to, BpfException exception) =>
        XdpAttachment.Query(to.Index, out XdpAttachment other) == 0 && other.ProgramId != 0
            ? string.Create(CultureInfo.InvariantCulture, $"the XDP program '{other.ProgramName}' (id {other.ProgramId}) is attached")
            : exception.Message;

    private void CheckForwarding(string name)
    {
        foreach ((string family, string setting) in new[] { ("ipv4", "forwarding"), ("ipv6", "forwarding") })
        {
            string path = $"/proc/sys/net/{family}/conf/{name}/{setting}";
            if (File.Exists(path) && File.ReadAllText(path).Trim() == "0")
            {
                _notices.Add(
                    $"{name}: {family} packets to pods and other hosts are not forwarded, because net.{family}.conf.{name}.{setting} is 0");
            }
        }
    }

    /// <summary>Replaces the program of a link that is pinned; false when there is none on that interface.</summary>
    private bool Replace(string name, int interfaceIndex, BpfProgram program)
    {
        using BpfLink? link = BpfLink.TryOpenPinned(_pins.Link(name));
        if (link is null)
        {
            return false;
        }

        BpfLinkState state = link.GetState();
        if (state.InterfaceIndex != interfaceIndex)
        {
            BpfFileSystem.Unpin(_pins.Link(name));
            return false;
        }

        if (state.ProgramId != program.Id)
        {
            link.Update(program);
        }

        return true;
    }

    /// <summary>Detaches from where the layer should not be (any more).</summary>
    private void Sweep(HashSet<string> wanted)
    {
        foreach (string name in LinkNames().Where(name => !wanted.Contains(name)))
        {
            using BpfLink? link = BpfLink.TryOpenPinned(_pins.Link(name));
            if (link is not null && HookOf(name) == PacketHook.Xdp && link.GetState().InterfaceIndex is var index and not 0)
            {
                _devices?.Delete((uint)index);
            }

            _ = link?.Detach();
            BpfFileSystem.Unpin(_pins.Link(name));
        }
    }

    private void Unload()
    {
        _xdp?.Dispose();
        _ingress?.Dispose();
        _egress?.Dispose();
        _toPod?.Dispose();
        _devices?.Dispose();
        _xdp = null;
        _ingress = null;
        _egress = null;
        _toPod = null;
        _devices = null;
    }
}
