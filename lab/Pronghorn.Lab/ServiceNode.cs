// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using System.Linq;

namespace Pronghorn.Lab;

/// <summary>
/// A node of a cluster in miniature: namespaces for the node (192.168.0.2), its pods (10.244.0.2 and on, each routed over a veth of its
/// own) and a client outside (192.168.0.1), which is also the node's default route. The node forwards. Programs are started through
/// <see cref="Start"/>, which puts those of the node and the pods into a control group that is theirs alone: cgroup programs go there.
/// </summary>
/// <remarks>
/// IPv6 is the same with fd00:192:168::, fd00:10:244::. The interfaces in pods and at the client are "eth0"; on the node,
/// <see cref="EdgeInterface"/> leads outside and <see cref="PodInterface"/> to a pod.
/// </remarks>
public sealed class ServiceNode : IDisposable
{
    /// <summary>The node's interface to the outside.</summary>
    public const string EdgeInterface = "edge0";

    /// <summary>The only interface of a pod, and of the client outside.</summary>
    public const string Interface = "eth0";

    /// <summary>The node's address outside.</summary>
    public const string NodeAddress = "192.168.0.2";

    /// <summary>The outside client's address.</summary>
    public const string ExternalAddress = "192.168.0.1";

    /// <summary>The node's IPv6 address outside.</summary>
    public const string NodeAddress6 = "fd00:192:168::2";

    /// <summary>The outside client's IPv6 address.</summary>
    public const string ExternalAddress6 = "fd00:192:168::1";

    /// <summary>The node's address towards its pods: their gateway.</summary>
    public const string GatewayAddress = "10.244.0.1";

    /// <summary>The range of pod addresses.</summary>
    public const string PodRange = "10.244.0.0/16";

    /// <summary>The range of pods' IPv6 addresses.</summary>
    public const string PodRange6 = "fd00:10:244::/48";

    private const string Gateway6 = "fe80::1";

    private readonly string _prefix;
    private readonly bool _keep;
    private readonly bool _ipv6;
    private readonly ControlGroup _group;
    private readonly List<NetworkNamespace> _pods = [];

    private ServiceNode(string prefix, bool keep, bool ipv6)
    {
        _prefix = prefix;
        _keep = keep;
        _ipv6 = ipv6;
        _group = ControlGroup.Create(prefix, keep);
        Node = NetworkNamespace.Create(prefix + "-node", keep);
        External = NetworkNamespace.Create(prefix + "-external", keep);
    }

    /// <summary>What the names of its namespaces and its control group begin with.</summary>
    public string Name => _prefix;

    /// <summary>The node's namespace.</summary>
    public NetworkNamespace Node { get; }

    /// <summary>The namespace of the client outside.</summary>
    public NetworkNamespace External { get; }

    /// <summary>The pods' namespaces.</summary>
    public IReadOnlyList<NetworkNamespace> Pods => _pods;

    /// <summary>Folder of the control group in which the node's and the pods' programs are.</summary>
    public string ControlGroupPath => _group.Path;

    /// <summary>Builds it. Needs root and ip(8); for the offloads, ethtool(8).</summary>
    /// <exception cref="LabException">A command failed. What was built until then is removed.</exception>
    public static ServiceNode Create(ServiceNodeOptions? options = null)
    {
        options ??= new ServiceNodeOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Pods, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.Pods, 100);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.MoreAddresses, 64);
        string prefix = options.Name ?? LabCleanup.CreatePrefix();
        ServiceNode? node = null;
        try
        {
            node = new ServiceNode(prefix, options.Name is not null, options.Ipv6);
            node.Build(options);
            return node;
        }
        catch
        {
            node?.Dispose();
            Remove(prefix);
            throw;
        }
    }

    /// <summary>The node's interface to a pod, by its number from 0.</summary>
    public static string PodInterface(int pod) => string.Create(CultureInfo.InvariantCulture, $"pod{pod}");

    /// <summary>The address of a pod.</summary>
    public static string PodAddress(int pod) => string.Create(CultureInfo.InvariantCulture, $"10.244.0.{pod + 2}");

    /// <summary>The IPv6 address of a pod.</summary>
    public static string PodAddress6(int pod) => string.Create(CultureInfo.InvariantCulture, $"fd00:10:244::{pod + 2:x}");

    /// <summary>An address that the first pod has besides its own, by number from 0.</summary>
    public static string MoreAddress(int number) => string.Create(CultureInfo.InvariantCulture, $"10.244.0.{number + 128}");

    /// <summary>Starts a program in one of the namespaces; all but the outside client's are in the control group.</summary>
    /// <param name="place">One of the namespaces here.</param>
    /// <param name="file">Program, looked up in PATH.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <returns>The process, whose three streams are redirected.</returns>
    public Process Start(NetworkNamespace place, string file, params IReadOnlyList<string> arguments)
    {
        IReadOnlyList<string> words = Line(place, file, arguments);
        return LabCommand.Start(LabCommand.CreateStartInfo(words[0], [.. words.Skip(1)]));
    }

    /// <summary>Runs a program like <see cref="Start"/> to its end and returns its output.</summary>
    /// <exception cref="LabException">Its exit status is not 0.</exception>
    public string Run(NetworkNamespace place, string file, params IReadOnlyList<string> arguments)
    {
        IReadOnlyList<string> words = Line(place, file, arguments);
        return LabCommand.Run(words[0], [.. words.Skip(1)]);
    }

    /// <summary>
    /// The command line that runs a program in one of the namespaces, in the control group where it belongs there. Unlike under
    /// "ip netns exec" it sees the file systems that everybody sees, /sys/fs/cgroup and /sys/fs/bpf among them.
    /// </summary>
    public IReadOnlyList<string> Line(NetworkNamespace place, string file, params IReadOnlyList<string> arguments)
    {
        ArgumentNullException.ThrowIfNull(place);
        ArgumentNullException.ThrowIfNull(arguments);
        string[] words = ["nsenter", "--net=" + place.Path, file, .. arguments];
        return ReferenceEquals(place, External) ? words : _group.Enter(words[0], words[1..]);
    }

    /// <summary>Removes all of the given name, with what runs in it.</summary>
    public static void Remove(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        foreach (string line in LabCommand.TryRun("ip", "netns", "list").Output.Split('\n'))
        {
            string one = line.Split(' ')[0];
            if (one.StartsWith(name + "-", StringComparison.Ordinal))
            {
                NetworkNamespace.Remove(one);
            }
        }

        ControlGroup.Remove(name);
    }

    /// <summary>Removes everything, with what runs in it, unless it outlives this process.</summary>
    public void Dispose()
    {
        foreach (NetworkNamespace place in (ImmutableArray<NetworkNamespace>)[.. _pods, External, Node])
        {
            place.Dispose();
        }

        _group.Dispose();
    }

    private void Build(ServiceNodeOptions options)
    {
        Node.Run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0");
        Connect(External, EdgeInterface, options.DisableOffloads);
        AddAddress(Node, EdgeInterface, NodeAddress + "/24", NodeAddress6 + "/64");
        AddAddress(External, Interface, ExternalAddress + "/24", ExternalAddress6 + "/64");
        AddRoute(Node, "default", "via", ExternalAddress);
        AddRoute(External, "default", "via", NodeAddress);
        if (_ipv6)
        {
            AddRoute(Node, "-6", "default", "via", ExternalAddress6);
            AddRoute(External, "-6", "default", "via", NodeAddress6);
        }

        for (int pod = 0; pod < options.Pods; pod++)
        {
            AddPod(pod, options.DisableOffloads);
        }

        for (int more = 0; more < options.MoreAddresses; more++)
        {
            AddAddress(_pods[0], Interface, MoreAddress(more) + "/32", null);
            AddRoute(Node, MoreAddress(more) + "/32", "dev", PodInterface(0));
        }
    }

    private void AddPod(int pod, bool disableOffloads)
    {
        string name = string.Create(CultureInfo.InvariantCulture, $"{_prefix}-pod{pod}");
        NetworkNamespace place = NetworkNamespace.Create(name, _keep);
        _pods.Add(place);
        Connect(place, PodInterface(pod), disableOffloads);
        AddAddress(Node, PodInterface(pod), GatewayAddress + "/32", null);
        AddAddress(place, Interface, PodAddress(pod) + "/32", PodAddress6(pod) + "/128");
        AddRoute(place, GatewayAddress, "dev", Interface);
        AddRoute(place, "default", "via", GatewayAddress);
        AddRoute(Node, PodAddress(pod) + "/32", "dev", PodInterface(pod));
        if (_ipv6)
        {
            AddAddress(Node, PodInterface(pod), null, Gateway6 + "/64");
            AddRoute(place, "-6", "default", "via", Gateway6, "dev", Interface);
            AddRoute(Node, "-6", PodAddress6(pod) + "/128", "dev", PodInterface(pod));
        }
    }

    private void Connect(NetworkNamespace place, string nodeInterface, bool disableOffloads)
    {
        LabCommand.Run(
            "ip", "link", "add", nodeInterface, "netns", Node.Name, "type", "veth", "peer", "name", Interface, "netns", place.Name);
        foreach ((NetworkNamespace side, string name) in (ReadOnlySpan<(NetworkNamespace, string)>)
            [(Node, nodeInterface), (place, Interface)])
        {
            if (!_ipv6)
            {
                side.Run("sysctl", "-qw", $"net.ipv6.conf.{name}.disable_ipv6=1");
            }

            if (disableOffloads)
            {
                side.Run("ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off", "gro", "off");
            }

            LabCommand.Run("ip", "-n", side.Name, "link", "set", name, "up");
        }
    }

    private void AddAddress(NetworkNamespace place, string name, string? ipv4, string? ipv6)
    {
        if (ipv4 is not null)
        {
            LabCommand.Run("ip", "-n", place.Name, "address", "add", ipv4, "dev", name);
        }

        if (ipv6 is not null && _ipv6)
        {
            LabCommand.Run("ip", "-n", place.Name, "-6", "address", "add", ipv6, "dev", name, "nodad");
        }
    }

    private static void AddRoute(NetworkNamespace place, params ReadOnlySpan<string> words)
    {
        bool isIpv6 = words[0] == "-6";
        string[] rest = isIpv6 ? words[1..].ToArray() : words.ToArray();
        LabCommand.Run("ip", ["-n", place.Name, isIpv6 ? "-6" : "-4", "route", "add", .. rest]);
    }
}
