// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Configuration;
using Pronghorn.Handoff.Moves;
using Pronghorn.Handoff.Peers;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Steering;
using Pronghorn.Handoff.Workers;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Execution;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Netlink;
using Pronghorn.Linux.Tap;
using Pronghorn.Linux.Tcp;
using Pronghorn.Web;
using Pronghorn.Wire;
using SteeringCounter = Pronghorn.Handoff.Steering.SteeringCounter;

namespace Pronghorn.Handoff.Daemon;

/// <summary>A node's daemon: workers give it connections, and it gives workers those that come from other nodes.</summary>
public sealed class HandoffDaemon : IDisposable
{
    private const string HoldDevice = "tcpm%d";

    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_stopped = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan s_stop = TimeSpan.FromSeconds(5);

    // Of looks: audits between those that each new stream brings.
    private const int LooksBetweenAudits = 60;

    // Seconds after a stream began with anybody: what one node tells then may be what another is to be asked for.
    private static readonly int[] s_auditsAfterStream = [2, 5];

    private readonly HandoffConfiguration _configuration;
    private readonly HandoffCounts _counts = new();
    private readonly MoveDurations _durations = new();
    private readonly ConnectionTracking _tracking = new();
    private readonly string _interface;
    private readonly SteeringLayer _layer;
    private readonly HeldPackets _held;
    private readonly SteeredNode _node;
    private readonly Lifetimes _lifetimes;
    private readonly WorkerServer _workers;
    private readonly StatusServer _status;
    private readonly PeerTable _peers;
    private readonly WebListener? _metrics;
    private readonly IReadOnlyList<Socket> _listeners;
    private readonly Unsettled _unsettled = new();
    private readonly Seeker _seeker;
    private readonly DaemonLog _log;
    private readonly SystemdNotifier _systemd = new();
    private volatile bool _isStopping;

    /// <summary>Takes everything that it needs; <see cref="RunAsync"/> must run for anything to happen.</summary>
    /// <param name="configuration">What to do.</param>
    /// <param name="instance">Where there are several daemons on a machine, in namespaces: name of this one.</param>
    /// <param name="log">Takes lines about peers that come and go, and about others; null for nobody. From any thread.</param>
    /// <exception cref="HandoffConfigurationException">The configuration does not fit this node.</exception>
    /// <exception cref="BpfException">The kernel lacks something, or a step failed.</exception>
    /// <exception cref="IOException">A device, a file or a socket cannot be made.</exception>
    public HandoffDaemon(HandoffConfiguration configuration, string instance = "default", Action<string>? log = null)
        : this(configuration, instance, Prepare(configuration, instance), log)
    {
    }

    /// <summary>Takes over what <see cref="Prepare"/> has made: needs CAP_NET_ADMIN, and CAP_NET_BIND_SERVICE for low ports.</summary>
    internal HandoffDaemon(HandoffConfiguration configuration, string instance, TapDevice device, Action<string>? log)
    {
        _log = new DaemonLog(log ?? (static _ => { }));
        _configuration = configuration;
        PeerAuthentication authentication = PeerIdentity.Read(configuration);
        if (authentication.OwnFault is { } fault)
        {
            _log.Add(fault);
        }

        (NetworkInterface found, int index) = FindInterface(configuration);
        _interface = found.Name;
        _listeners = Listen(configuration);
        _layer = SteeringLayer.Open(FolderOf(instance));
        _held = new HeldPackets(device, (long)configuration.HeldMegabytes << 20);
        _node = new SteeredNode(_layer, _held, index, MacAddress.Read(found.GetPhysicalAddress().GetAddressBytes()))
        {
            Addresses = configuration.LocalAddresses,
            SharedAddresses = configuration.ServiceAddresses,
            AddressOfNode = FindAddressOfNode,
            Durations = _durations,
            Tracking = _tracking,
            Images = ImageStore.Open(Path.Combine(configuration.SocketDirectory, "images")),
        };
        _peers = new PeerTable(
            configuration.Peers, authentication,
            (stream, link) => new PeerConnection(
                stream, _node, _workers!, _lifetimes, unsettled: _unsettled, link: link, seeker: _seeker,
                address: link.Peer.Addresses[0], anchors: request => AnchorOf(request, link)),
            _log.Add, TimeSpan.FromSeconds(configuration.PeerTimeout));
        int result = Lifetimes.Open(
            _node, Lifetimes.DefaultGrace, out Lifetimes? lifetimes, _peers.Find, _unsettled);
        _lifetimes = lifetimes ?? throw new IOException(string.Create(
            CultureInfo.InvariantCulture, $"the kernel does not tell of connections that end (sock_diag, error {-result})"));
        _seeker = new Seeker(_node, _lifetimes, ListAskedNodes);
        _workers = new WorkerServer(
            configuration.SocketDirectory, configuration.WorkerCount, HandOffAsync, EndInterruptedAsync,
            configuration.WorkerMovesPerSecond);
        _status = new StatusServer(configuration.SocketDirectory, GetStatus);
        _metrics = configuration.Metrics is null ? null
            : MetricsServer.StartAsync(configuration.Metrics, () => HandoffMetrics.Write(GetStatus(), _counts, _durations))
                .GetAwaiter().GetResult();
    }

    /// <summary>The folder of the BPF file system in which an instance keeps its tables and links.</summary>
    public static string FolderOf(string instance) => Path.Combine(BpfFileSystem.DefaultPath, "pronghorn", "handoff", instance);

    /// <summary>Does what needs privileges that a daemon which runs does not.</summary>
    /// <returns>Where packets wait.</returns>
    internal static TapDevice Prepare(HandoffConfiguration configuration, string instance)
    {
        ArgumentNullException.ThrowIfNull(configuration);

        // What is wrong in the files is to be said before anything is changed.
        _ = PeerIdentity.Read(configuration);
        (_, int index) = FindInterface(configuration);
        BpfFileSystem.EnsureMounted();

        // Where another daemon of this node listens already nothing of its own is to be touched.
        List<Socket> listeners = Listen(configuration);
        try
        {
            WorkerFolder.Prepare(configuration.SocketDirectory, configuration.WorkerGroup);
            TapDevice device = OpenDevice();
            try
            {
                SteeringLayer.Start(
                    FolderOf(instance), [index], device, configuration.MaximumConnections, configuration.ServiceAddresses).Dispose();
                return device;
            }
            catch
            {
                device.Dispose();
                throw;
            }
        }
        finally
        {
            listeners.ForEach(static listener => listener.Dispose());
        }
    }

    /// <summary>
    /// Works until cancelled. Moves under way are finished then, and no other is begun; what was moved goes on afterwards, in the kernel.
    /// </summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        using var end = new CancellationTokenSource();
        Task[] parts =
        [
            _peers.RunAsync(_listeners, end.Token), _status.RunAsync(end.Token), LookAfterPeersAsync(end.Token),
            KeepSeekingAsync(end.Token),
        ];
        _systemd.Ready($"connections move over {_interface}");

        // None ends by itself: one that does has failed, and half a daemon is worse than the next one.
        await Task.WhenAny([.. parts, Task.Delay(Timeout.Infinite, cancellation)]);
        _isStopping = true;
        _systemd.Stopping();
        foreach (PeerLink link in _peers.Links)
        {
            link.RefuseNew();
        }

        long began = Environment.TickCount64;
        while (_peers.Links.Any(static link => link.ActiveMoves > 0) && Environment.TickCount64 - began < s_stop.TotalMilliseconds)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(1), CancellationToken.None);
        }

        await end.CancelAsync();
        await Task.WhenAll(parts);
    }

    /// <summary>How it is.</summary>
    public HandoffStatus GetStatus()
    {
        (int inbound, int outbound) = _layer.Tables.CountEntries();
        (int inboundLimit, int outboundLimit) = _layer.Tables.Limits;
        return new HandoffStatus
        {
            ProcessId = Environment.ProcessId,
            Interface = _interface,
            Listeners = _workers.RegisteredCount,
            MovesUnderWay = _peers.Links.Sum(static link => link.ActiveMoves),
            Given = _counts.Given,
            GivenUnconfirmed = _counts.Unconfirmed,
            TakenNow = _lifetimes.TakenCount,
            Undelivered = _workers.UndeliveredCount,
            WorkersRejected = _workers.RejectedCount,
            Refused = Enum.GetValues<RefusalReason>().Where(reason => reason != RefusalReason.None && _counts.Refused(reason) > 0)
                .ToDictionary(static reason => reason.ToString(), _counts.Refused),
            LastRefusals = Enum.GetValues<RefusalReason>().Where(reason => _counts.LastRefusal(reason) is not null)
                .ToDictionary(static reason => reason.ToString(), reason => _counts.LastRefusal(reason)!),
            FreezeMicroseconds = _counts.Freezes.ToDictionary(),
            CaptureMicroseconds = _durations.Captures.ToDictionary(),
            RestoreMicroseconds = _durations.Restores.ToDictionary(),
            HeldBytes = _held.Bytes,
            HeldDropped = _held.Dropped,
            InboundEntries = inbound,
            OutboundEntries = outbound,
            InboundLimit = inboundLimit,
            OutboundLimit = outboundLimit,
            Packets = Enum.GetValues<SteeringCounter>().Where(static counter => !IsOfBytes(counter) && counter < SteeringCounter.Count)
                .ToDictionary(static counter => counter.ToString(), _layer.Read),
            Bytes = new Dictionary<string, ulong>
            {
                [nameof(SteeringCounter.Redirected)] = _layer.Read(SteeringCounter.RedirectedBytes),
                [nameof(SteeringCounter.Translated)] = _layer.Read(SteeringCounter.TranslatedBytes),
            },
            Peers = [.. _peers.Links.Select(StatusOf)],
            SoughtFound = _seeker.FoundCount,
            SoughtUnknown = _seeker.UnknownCount,
            SoughtUnanswered = _seeker.UnansweredCount,
            PeersRejected = _peers.RejectedCount,
        };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _metrics?.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _status.Dispose();
        _workers.Dispose();
        _layer.PauseSeeking();
        _seeker.Dispose();
        _lifetimes.Dispose();
        _tracking.Dispose();
        _held.Dispose();
        _layer.Dispose();
        foreach (Socket listener in _listeners)
        {
            listener.Dispose();
        }

        _log.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }

    private async Task LookAfterPeersAsync(CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(s_look);
        long before = Environment.TickCount64;
        try
        {
            for (int look = 1; await timer.WaitForNextTickAsync(cancellation); look++)
            {
                long now = Environment.TickCount64;
                if (now - before > s_stopped.TotalMilliseconds)
                {
                    // This process was stopped, and nobody has tried to reach anybody meanwhile.
                    _peers.Links.ToList().ForEach(link => link.LastSeen = now);
                }

                before = now;
                long lastBegun = _peers.Links.Select(static link => link.LastBegun).DefaultIfEmpty().Max();
                long sinceStream = (Environment.TickCount64 - lastBegun) / 1000;
                bool isAudit = look % LooksBetweenAudits == 0 || s_auditsAfterStream.Contains((int)sinceStream);
                foreach (PeerLink link in _peers.Links)
                {
                    LookAfter(link, isAudit, cancellation);
                }

                // Connections that have come and workers have locks that everything else needs too: where one is not given back,
                // nothing more is said here.
                _ = _lifetimes.TakenCount + _workers.RegisteredCount;
                _systemd.Alive();
            }
        }
        catch (OperationCanceledException)
        {
            // It is over.
        }
    }

    /// <summary>In a loop of its own: looking after peers may wait for one of them.</summary>
    private async Task KeepSeekingAsync(CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(s_look);
        try
        {
            do
            {
                if (!_configuration.ServiceAddresses.IsEmpty)
                {
                    _layer.KeepSeeking(TimeSpan.FromSeconds(_configuration.PeerTimeout));
                }
            }
            while (await timer.WaitForNextTickAsync(cancellation));
        }
        catch (OperationCanceledException)
        {
            // It is over.
        }
    }

    private IpAddress? FindAddressOfNode(IpAddress address, bool isIpv6)
    {
        foreach (IpAddress one in _peers.Find(address)?.Peer.Addresses ?? [])
        {
            if (one.IsIpv4 != isIpv6)
            {
                return one;
            }
        }

        return null;
    }

    private PeerStatus StatusOf(PeerLink link)
    {
        PeerConnection? connection = link.Connection;
        string? silence = connection?.Silence;
        return new PeerStatus(
            link.Peer.Name, link.Peer.Daemon.ToString(), connection is not null, connection is null ? link.Problem : silence,
            link.GivenUp, IsGivenUp(link), silence is not null);
    }

    private bool IsGivenUp(PeerLink link) =>
        !link.IsReached && Environment.TickCount64 - link.LastSeen > _configuration.PeerTimeout * 1000L;

    private AskedNode[] ListAskedNodes() =>
        [.. from link in _peers.Links where !IsGivenUp(link) select new AskedNode(link.Peer.Addresses[0], link)];

    private void LookAfter(PeerLink link, bool isAudit, CancellationToken cancellation)
    {
        if (link.TakeNews() is { } news)
        {
            _log.Add(news);
        }

        if (link.IsReached)
        {
            link.LastSeen = Environment.TickCount64;
            if (isAudit)
            {
                link.Audit(cancellation);
            }
        }
        else if (IsGivenUp(link))
        {
            link.GivenUp += _lifetimes.ForgetOwner(link.Peer.Addresses) + _lifetimes.EndOfAnchor(link.Peer.Addresses);
        }
    }

    private static (NetworkInterface Interface, int Index) FindInterface(HandoffConfiguration configuration)
    {
        IPAddress[] wanted = [.. configuration.LocalAddresses.Select(static address => IPAddress.Parse(address.ToString()))];
        foreach (NetworkInterface one in NetworkInterface.GetAllNetworkInterfaces())
        {
            IPInterfaceProperties properties = one.GetIPProperties();
            bool isMeant = configuration.Interface.Length > 0
                ? one.Name == configuration.Interface
                : properties.UnicastAddresses.Any(address => wanted.Contains(address.Address));
            if (isMeant)
            {
                return (one, properties.GetIPv4Properties().Index);
            }
        }

        throw new HandoffConfigurationException(configuration.Interface.Length > 0
            ? $"interface: this node has no \"{configuration.Interface}\""
            : $"local_ip: no interface of this node has {string.Join(" or ", configuration.LocalAddresses)}");
    }

    private static List<Socket> Listen(HandoffConfiguration configuration)
    {
        List<Socket> listeners = [];
        foreach (IpAddress local in configuration.LocalAddresses)
        {
            var end = new IPEndPoint(IPAddress.Parse(local.ToString()), configuration.Port);
            var listener = new Socket(end.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            listeners.Add(listener);
            try
            {
                listener.Bind(end);
                listener.Listen();
            }
            catch (SocketException failure)
            {
                listeners.ForEach(static made => made.Dispose());
                throw new IOException($"local_ip, port: {end}: {failure.Message}", failure);
            }
        }

        return listeners;
    }

    private static TapDevice OpenDevice()
    {
        int result = TapDevice.Open(HoldDevice, out TapDevice? device);
        return device ?? throw new IOException(string.Create(
            CultureInfo.InvariantCulture, $"a TAP device for packets that wait cannot be made (error {-result}); CAP_NET_ADMIN is needed"));
    }

    private PeerLink AnchorOf(Prepare request, PeerLink origin) => _peers.Find(request.Anchor) ?? origin;

    private async Task<Refusal> EndInterruptedAsync(WorkerMessage message, int fd)
    {
        var interrupted = new InterruptedMove(_node, _lifetimes, _unsettled, MoveTimes.Default.Settle);
        return message.Kind == WorkerMessageKind.Recover
            ? await interrupted.EndAsync(fd)
            : interrupted.Finish(fd, isSimple: message.Result == 0);
    }

    private async Task<Refusal> HandOffAsync(WorkerMessage request, int fd)
    {
        if (_isStopping)
        {
            return new Refusal(RefusalReason.Peer, "this node's daemon is being stopped");
        }

        MoveOutcome outcome = await MoveAsync(request, fd);
        _counts.Add(outcome);
        return outcome.Refusal;
    }

    private Task<MoveOutcome> MoveAsync(WorkerMessage request, int fd)
    {
        if (_peers.Find(request.End.Address) is not { } link)
        {
            return Refuse(new Refusal(RefusalReason.Peer, $"no peer of the configuration has {request.End.Address}"));
        }

        if (link.Connection is not { } connection)
        {
            return Refuse(new Refusal(RefusalReason.Peer, $"{link.Peer.Name} is not connected: {link.Problem ?? "it is being tried"}"));
        }

        return connection.MoveAsync(
            fd, request.End, request.Worker, complete: image => image with { Consumed = request.Consumed, Tag = request.Tag });
    }

    private static bool IsOfBytes(SteeringCounter counter) =>
        counter is SteeringCounter.RedirectedBytes or SteeringCounter.TranslatedBytes;

    private static Task<MoveOutcome> Refuse(Refusal refusal) =>
        Task.FromResult(new MoveOutcome(refusal, default, default, IsLive: false));
}
