// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net.Http;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Daemon;
using Pronghorn.Handoff.Steering;
using Pronghorn.Lab.Cdn.Servers;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Lab.Cdn.Network;

/// <summary>
/// A point of presence in namespaces: a client (10.3.0.1), the service balancer in front (10.3.0.2, 10.2.0.2) with a Service of type
/// LoadBalancer at 203.0.113.10, edges (10.2.0.11 and on) with a LAS for each way, an LDS and the handoff daemon, and an origin
/// (10.2.0.3). The balancer's translation is full: edges see its address. All but the client are on one bridge.
/// </summary>
public sealed class CdnLab : IAsyncDisposable
{
    /// <summary>The address that clients know.</summary>
    public const string ServiceAddress = "203.0.113.10";

    /// <summary>Folder of everything that a lab writes.</summary>
    public const string RootFolder = "/run/pronghorn-cdn";

    private const int FirstPort = 8001;
    private const int OriginPort = 8000;
    private const int LdsPort = 1960;

    // Linux's own, whatever the host's is: a namespace has the host's, and what is measured would be that.
    private const string CongestionControl = "cubic";
    private const string FrontInterface = "front0";
    private const string BackInterface = "lab0";

    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(25);
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_grace = TimeSpan.FromSeconds(2);

    private readonly CdnLabOptions _options;
    private readonly bool _keeps;
    private readonly List<NetworkNamespace> _places = [];
    private readonly List<ControlGroup> _groups = [];
    private readonly List<CdnEdge> _edges = [];
    private readonly List<(Process Process, string Log)> _started = [];
    private ControlGroup? _others;
    private NetworkNamespace? _switch;
    private NetworkNamespace? _balancer;
    private NetworkNamespace? _client;
    private bool _isDisposed;

    private CdnLab(CdnLabOptions options)
    {
        _options = options;
        _keeps = options.Name is not null;
        Name = options.Name ?? LabCleanup.CreatePrefix();
        Folder = FolderOf(Name);
    }

    /// <summary>What the names of its namespaces and control groups begin with.</summary>
    public string Name { get; }

    /// <summary>Its configuration files, logs and Unix sockets.</summary>
    public string Folder { get; }

    /// <summary>The client's namespace.</summary>
    public NetworkNamespace Client => _client!;

    /// <summary>The edges.</summary>
    public IReadOnlyList<CdnEdge> Edges => _edges;

    /// <summary>The balancer's namespace.</summary>
    public NetworkNamespace Balancer => _balancer!;

    /// <summary>The CPU that edges have, where they are pinned.</summary>
    public static int EdgeProcessor => Environment.ProcessorCount > 1 ? MachineProcessors - 1 : 0;

    private static int MachineProcessors { get; } = File.ReadLines("/proc/stat").Count(
        static line => line.StartsWith("cpu", StringComparison.Ordinal) && !line.StartsWith("cpu ", StringComparison.Ordinal));

    /// <summary>Port of the servers of a way, at the edges and at the balancer.</summary>
    public static int PortOf(LasWay way) => FirstPort + (int)way;

    /// <summary>Folder of the lab of a name.</summary>
    public static string FolderOf(string name) => Path.Combine(RootFolder, name);

    /// <summary>Builds it and waits until everything serves. Needs root.</summary>
    /// <exception cref="LabException">Something failed. What was built until then is removed.</exception>
    public static async Task<CdnLab> CreateAsync(CdnLabOptions options, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Edges, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.Edges, 16);
        LabCleanup.RemoveStale();
        RemoveStale(options.Program);
        var lab = new CdnLab(options);
        try
        {
            Directory.CreateDirectory(lab.Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            lab.BuildNetwork();
            cancellation.ThrowIfCancellationRequested();
            lab.StartBalancer();
            lab.StartServers();
            await lab.WaitUntilReadyAsync(cancellation);
            return lab;
        }
        catch
        {
            await lab.DisposeAsync();
            Remove(lab.Name, options.Program);
            throw;
        }
    }

    /// <summary>Removes the lab of a name, with what runs in it, whoever made it.</summary>
    public static void Remove(string name, IReadOnlyList<string> program)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(program);
        string[] places =
        [
            .. LabCommand.TryRun("ip", "netns", "list").Output.Split('\n').Select(static line => line.Split(' ')[0])
                .Where(place => place.StartsWith(name + "-", StringComparison.Ordinal)),
        ];
        NetworkNamespace.EndProcesses(places, s_grace);
        Array.ForEach(places, NetworkNamespace.Remove);

        LabCommand.TryRun(program[0], [.. program.Skip(1), "lb", "disable", "--instance", name]);
        string steering = Path.GetDirectoryName(HandoffDaemon.FolderOf(name))!;
        foreach (string folder in Directory.Exists(steering) ? Directory.GetDirectories(steering, name + "-*") : [])
        {
            SteeringLayer.Remove(folder);
        }

        ControlGroup.Remove(name + "-others");
        ControlGroup.Remove(name + "-node");
        for (int edge = 1; edge <= 16; edge++)
        {
            ControlGroup.Remove(EdgeName(name, edge));
        }

        if (Directory.Exists(FolderOf(name)))
        {
            Directory.Delete(FolderOf(name), recursive: true);
        }

        if (Directory.Exists(RootFolder) && !Directory.EnumerateFileSystemEntries(RootFolder).Any())
        {
            Directory.Delete(RootFolder);
        }
    }

    /// <summary>The words that start a program in a namespace and in the group of what is no edge.</summary>
    public IReadOnlyList<string> Line(NetworkNamespace place, params IReadOnlyList<string> words)
    {
        ArgumentNullException.ThrowIfNull(place);
        IReadOnlyList<string> line = ["nsenter", "--net=" + place.Path, .. Pinned(isEdge: false), .. words];
        return _others!.Enter(line[0], [.. line.Skip(1)]);
    }

    /// <summary>Starts a program of the client's. Its streams are redirected.</summary>
    public Process StartClient(params IReadOnlyList<string> words)
    {
        IReadOnlyList<string> line = Line(Client, words);
        var start = new ProcessStartInfo(line[0], line.Skip(1)) { RedirectStandardOutput = true, RedirectStandardError = true };
        return Process.Start(start)!;
    }

    /// <summary>
    /// Bytes at the bridge's ports, headers included, a segment of many packets as one. What edges sent less what went to the balancer is
    /// what they sent to each other, and to the origin.
    /// </summary>
    public (long FromEdges, long ToBalancer, long ToEdges, long FromBalancer) ReadBridge()
    {
        string text = NamespaceThread.Run(_switch!, static () => File.ReadAllText("/proc/thread-self/net/dev"));
        Dictionary<string, (long Received, long Sent)> ports = [];
        foreach (string line in text.Split('\n').Where(static line => line.Contains(':', StringComparison.Ordinal)))
        {
            string[] words = line.Split([' ', ':'], StringSplitOptions.RemoveEmptyEntries);
            ports[words[0]] = (long.Parse(words[1], CultureInfo.InvariantCulture), long.Parse(words[9], CultureInfo.InvariantCulture));
        }

        IEnumerable<string> edges = _edges.Select(static edge => "edge" + edge.Number.ToString(CultureInfo.InvariantCulture));
        return (edges.Sum(port => ports[port].Received), ports["balancer"].Sent, edges.Sum(port => ports[port].Sent),
            ports["balancer"].Received);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        if (_isDisposed || _keeps)
        {
            return ValueTask.CompletedTask;
        }

        _isDisposed = true;
        foreach (NetworkNamespace place in Enumerable.Reverse(_places))
        {
            place.Dispose();
        }

        _groups.ForEach(static group => group.Dispose());
        Remove(Name, _options.Program);
        return ValueTask.CompletedTask;
    }

    private static void RemoveStale(IReadOnlyList<string> program)
    {
        foreach (string folder in Directory.Exists(RootFolder) ? Directory.GetDirectories(RootFolder) : [])
        {
            string name = Path.GetFileName(folder);
            if (LabCleanup.TryGetMaker(name, out int maker) && !Directory.Exists($"/proc/{maker}"))
            {
                Remove(name, program);
            }
        }
    }

    private static string EdgeName(string lab, int number) => string.Create(CultureInfo.InvariantCulture, $"{lab}-edge{number}");

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private IReadOnlyList<string> Pinned(bool isEdge) => !_options.Pins || MachineProcessors < 2 ? []
        : ["taskset", "-c", isEdge ? Text(EdgeProcessor) : $"0-{MachineProcessors - 2}"];

    private NetworkNamespace Add(string name)
    {
        NetworkNamespace place = NetworkNamespace.Create($"{Name}-{name}", _keeps);
        _places.Add(place);
        return place;
    }

    private ControlGroup AddGroup(string name)
    {
        ControlGroup group = ControlGroup.Create(name, _keeps);
        _groups.Add(group);
        return group;
    }

    private void BuildNetwork()
    {
        _others = AddGroup(Name + "-others");
        _switch = Add("switch");
        _switch.Run("ip", "link", "add", "bridge0", "type", "bridge");
        _switch.Run("ip", "link", "set", "bridge0", "up");
        _balancer = Add("balancer");
        _client = Add("client");
        _balancer.Run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0");
        Join(_balancer, "balancer", "10.2.0.2/24");
        LabCommand.Run(
            "ip", "link", "add", FrontInterface, "netns", _balancer.Name, "type", "veth", "peer", "name", BackInterface, "netns",
            _client.Name);
        Address(_balancer, FrontInterface, "10.3.0.2/24");
        Address(_client, BackInterface, "10.3.0.1/24");
        Steer(_balancer, FrontInterface, isEdge: false);
        Steer(_client, BackInterface, isEdge: false);
        _client.Run("ip", "route", "add", ServiceAddress + "/32", "via", "10.3.0.2");
        NetworkNamespace origin = Add("origin");
        Join(origin, "origin", "10.2.0.3/24");
        for (int number = 1; number <= _options.Edges; number++)
        {
            NetworkNamespace place = Add("edge" + Text(number));

            // What negotiated ECN does not move.
            place.Run("sysctl", "-qw", "net.ipv4.tcp_ecn=0");

            // A bridge says nothing of what it does not carry: what edges relay to each other finds out by itself (RFC 4821).
            place.Run("sysctl", "-qw", "net.ipv4.tcp_mtu_probing=1");
            ControlGroup group = AddGroup(EdgeName(Name, number));
            var edge = new CdnEdge(number, place, group, Path.Combine(Folder, "edge-" + Text(number)));
            Join(place, "edge" + Text(number), edge.Address + "/24", isEdge: true);
            _edges.Add(edge);
        }
    }

    private void Join(NetworkNamespace place, string port, string address, bool isEdge = false)
    {
        LabCommand.Run(
            "ip", "link", "add", port, "netns", _switch!.Name, "type", "veth", "peer", "name", BackInterface, "netns", place.Name);
        _switch.Run("ip", "link", "set", port, "master", "bridge0", "up");
        Address(place, BackInterface, address);
        Steer(_switch, port, isEdge: false);
        Steer(place, BackInterface, isEdge);
    }

    private static void Address(NetworkNamespace place, string name, string address)
    {
        place.Run("ip", "address", "add", address, "dev", name);
        place.Run("ip", "link", "set", name, "up");
    }

    /// <summary>
    /// Receives on the CPU of whoever receives (RPS), as if it came by a wire. Otherwise veth has the sender do the receiver's work.
    /// </summary>
    private void Steer(NetworkNamespace place, string name, bool isEdge)
    {
        if (_options.Pins && MachineProcessors > 1)
        {
            ulong mask = isEdge ? 1ul << EdgeProcessor : (1ul << EdgeProcessor) - 1;
            place.Run("sh", "-c", $"echo {mask:x} > /sys/class/net/{name}/queues/rx-0/rps_cpus");
        }
    }

    private void StartBalancer()
    {
        // Nothing runs in the balancer's group: what connects to the service from there would be served at the socket.
        string manifests = Directory.CreateDirectory(Path.Combine(Folder, "manifests")).FullName;
        File.WriteAllText(Path.Combine(manifests, "cdn.yaml"), Manifest());
        IReadOnlyList<string> words =
        [
            .. _options.Program, "lb", "enable", "--manifests", manifests, "--instance", Name, "--node-name", "balancer",
            "--interface", FrontInterface, "--interface", BackInterface, "--xdp", "off", "--cgroup", AddGroup(Name + "-node").Path,
            "--healthz-bind-address", "", "--metrics-bind-address", "",
        ];
        IReadOnlyList<string> line = Line(_balancer!, words);
        LabCommand.Run(line[0], [.. line.Skip(1)]);
    }

    private string Manifest() => CdnManifest.Write(
        ServiceAddress, _options.Ways.Select(static way => (way.ToString().ToLowerInvariant(), PortOf(way))),
        _edges.Select(static edge => edge.Address));

    private void StartServers()
    {
        CdnCertificates.Write(Folder, _edges.Select(static edge => edge.Name));
        NetworkNamespace origin = _places.Single(place => place.Name == Name + "-origin");
        Start(origin, _others!, isEdge: false, "origin", ["lab", "cdn", "origin", "--listen", $"10.2.0.3:{OriginPort}"]);
        foreach (CdnEdge edge in _edges)
        {
            Directory.CreateDirectory(edge.Folder);
            File.WriteAllLines(edge.PopStructure, _edges.Select(static one => $"node = {one.Name} {one.Address}"));
            File.WriteAllText(edge.HandoffConfiguration, Configuration(edge));
            StartDaemon(edge);
            Start(edge, "lds", "lab", "cdn", "lds", "--listen", $"127.0.0.1:{LdsPort}", "--pop-struct", edge.PopStructure);
            foreach (LasWay way in _options.Ways)
            {
                string name = way.ToString().ToLowerInvariant();
                IReadOnlyList<string> media = _options.Media is null ? [] : ["--media", _options.Media];
                Start(edge, "las-" + name, [
                    "lab", "cdn", "las", "--node", edge.Name, "--listen", $"{edge.Address}:{PortOf(way)}",
                    "--way", name, "--workers", Text(_options.Workers), "--lds", $"127.0.0.1:{LdsPort}",
                    "--origin", $"http://10.2.0.3:{OriginPort}", "--socket-directory", edge.SocketDirectory,
                    "--congestion-control", CongestionControl, "--roam", _options.Roam.TotalSeconds.ToString(CultureInfo.InvariantCulture),
                    .. media,
                ]);
            }
        }
    }

    /// <summary>Starts an edge's handoff daemon, also again.</summary>
    public Process StartDaemon(CdnEdge edge)
    {
        ArgumentNullException.ThrowIfNull(edge);
        string[] words =
        [
            "handoff", "serve", "--config", edge.HandoffConfiguration, "--instance", EdgeName(Name, edge.Number),
        ];

        // Ahead of the servers, which otherwise keep a busy CPU from it while packets of a moving connection wait.
        return edge.Daemon = Start(edge.Place, edge.Group, isEdge: true, $"{edge.Name}-daemon", words, ["nice", "-n", "-10"]);
    }

    private Process Start(CdnEdge edge, string log, params IReadOnlyList<string> words) =>
        Start(edge.Place, edge.Group, isEdge: true, $"{edge.Name}-{log}", words);

    /// <summary>A shell enters the group and becomes the program, in a session of its own with what it says in a file.</summary>
    private Process Start(
        NetworkNamespace place, ControlGroup group, bool isEdge, string log, IReadOnlyList<string> words, params string[] wrapper)
    {
        string[] line =
        [
            "-c", "echo 0 > \"$0/cgroup.procs\" && exec >>\"$1\" 2>&1 </dev/null && shift && exec setsid -- \"$@\"",
            group.Path, Path.Combine(Folder, log + ".log"), "nsenter", "--net=" + place.Path, .. wrapper, .. Pinned(isEdge),
            .. _options.Program, .. words,
        ];
        var start = new ProcessStartInfo("/bin/sh", line);
        Process process = Process.Start(start)!;
        _started.Add((process, log + ".log"));
        return process;
    }

    private string Configuration(CdnEdge edge) => string.Create(CultureInfo.InvariantCulture, $"""
        svcWorkerNum = {_options.Workers}
        local_ip = {edge.Address}
        {string.Join('\n', _edges.Where(other => other != edge).Select(static other => $"peer = {other.Name} {other.Address}"))}
        socket_directory = {edge.SocketDirectory}
        certificate = {Folder}/{edge.Name}.pem
        key = {Folder}/{edge.Name}.key
        authority = {Folder}/authority.pem

        """);

    private async Task WaitUntilReadyAsync(CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(s_patience);
        foreach (CdnEdge edge in _edges)
        {
            string waitsFor = "its daemon";
            try
            {
                await WaitUntilAsync(async () => (await edge.AskDaemonAsync(limit.Token))
                    .Peers.All(static peer => peer.IsConnected), limit.Token);
                foreach (LasWay way in _options.Ways)
                {
                    waitsFor = $"its server of the way {way}";
                    int registered = way == LasWay.Handoff ? _options.Workers : 0;
                    await WaitUntilAsync(async () => (await AskServerAsync(edge, way)).Workers == registered, limit.Token);
                }
            }
            catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
            {
                throw new LabException($"{edge.Name} is not ready within {s_patience.TotalSeconds} s: {waitsFor}. {ReadLogs(edge)}");
            }
        }
    }

    /// <summary>Status of an edge's server, asked over the network from the balancer's place.</summary>
    /// <exception cref="IOException">It does not answer.</exception>
    public Task<LasStatus> AskServerAsync(CdnEdge edge, LasWay way)
    {
        ArgumentNullException.ThrowIfNull(edge);
        var end = new TcpEnd(IpAddress.Parse(edge.Address), (ushort)PortOf(way));
        return Task.Run(() => NamespaceThread.Run(Balancer, () => CdnEdge.AskServer(end)));
    }

    private async Task WaitUntilAsync(Func<Task<bool>> holds, CancellationToken cancellation)
    {
        while (true)
        {
            try
            {
                if (await holds())
                {
                    return;
                }
            }
            catch (Exception failure) when (failure is IOException or HttpRequestException)
            {
                // Not there yet.
            }

            if (_started.Find(static one => one.Process.HasExited) is { Process: not null } ended)
            {
                throw new LabException($"a server ended at once. It said: {File.ReadAllText(Path.Combine(Folder, ended.Log)).Trim()}");
            }

            await Task.Delay(s_interval, cancellation);
        }
    }

    private string ReadLogs(CdnEdge edge) => string.Join(' ', Directory.GetFiles(Folder, edge.Name + "-*.log")
        .Select(static file => $"{Path.GetFileName(file)}: {File.ReadAllText(file).Trim()}"));
}
