// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Linux.Bpf;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.DataPlane;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>Attaches both layers, has the packet layer follow the interfaces, and collects its connections.</summary>
internal sealed class DataPlaneSupervisor : IDisposable
{
    private static readonly TimeSpan s_sweepInterval = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();
    private readonly DaemonOptions _options;
    private readonly PinLayout _pins;
    private readonly IProblemSink _problems;
    private readonly SocketLayer _sockets;
    private readonly PacketLayer _packets;
    private string _cgroup = "";
    private volatile bool _isAttached;

    public DataPlaneSupervisor(DaemonOptions options, PinLayout pins, IProblemSink problems)
    {
        _options = options;
        _pins = pins;
        _problems = problems;
        _sockets = new SocketLayer(pins);
        _packets = new PacketLayer(pins);
    }

    private bool HasPackets => !_options.Interfaces.IsEmpty || !_options.PodInterfaces.IsEmpty;

    /// <summary>Takes all away. No daemon of the instance may run.</summary>
    public static void Remove(PinLayout pins)
    {
        using (var packets = new PacketLayer(pins))
        {
            packets.Stop();
        }

        new SocketLayer(pins).Stop();
        pins.Remove();
    }

    /// <summary>Attaches, or replaces what is attached.</summary>
    /// <exception cref="BpfException">The kernel refuses.</exception>
    /// <exception cref="IOException">There is no cgroup to attach to.</exception>
    public void Start()
    {
        CheckSizes();
        _cgroup = _options.Cgroup ?? SocketLayer.FindCgroupRoot()
            ?? throw new IOException("no cgroup v2 is mounted: mount -t cgroup2 none /sys/fs/cgroup, or name one with --cgroup");
        _sockets.Start(_cgroup, _options.Maps);
        _isAttached = true;
        if (HasPackets)
        {
            var options = new PacketLayerOptions
            {
                EdgeInterfaces = _options.Interfaces,
                PodInterfaces = _options.PodInterfaces,
                Xdp = _options.Xdp,
            };
            _packets.Start(options, _options.Maps);
            TellNotices();
        }
        else
        {
            // An earlier run may have had interfaces.
            _packets.Stop();
        }
    }

    /// <summary>Whether the sockets of the cgroup are served.</summary>
    public bool IsAttached => _isAttached;

    /// <summary>Works until cancelled.</summary>
    public Task RunAsync(CancellationToken cancellation) => HasPackets
        ? Task.WhenAll(
            LinkFollower.RunAsync(Refresh, null, cancellation), CollectAsync(cancellation), KeepAttachedAsync(cancellation))
        : KeepAttachedAsync(cancellation);

    /// <summary>Connections of the packet layer at the last sweep.</summary>
    public ConnectionSweep LastSweep { get; private set; }

    /// <summary>What is attached.</summary>
    public IReadOnlyList<AttachmentStatus> ReadAttachments()
    {
        List<AttachmentStatus> attachments =
            [.. _sockets.GetAttachments().Select(one => new AttachmentStatus("cgroup " + one.Key, one.Value.ProgramId))];
        lock (_gate)
        {
            var names = PacketInterface.List().ToDictionary(one => one.Index, one => one.Name);
            attachments.AddRange(
                from one in _packets.GetAttachments()
                let name = names.GetValueOrDefault(one.InterfaceIndex, $"interface {one.InterfaceIndex}")
                select new AttachmentStatus($"{name} {one.Hook.ToString().ToLowerInvariant()}", one.ProgramId));
        }

        return attachments;
    }

    public void Dispose() => _packets.Dispose();

    /// <summary>Maps keep their sizes while they are pinned; the loader's own message would not say which differs.</summary>
    private void CheckSizes()
    {
        foreach ((string name, (string setting, uint entries)) in _options.Maps.ByMap)
        {
            using BpfMap? map = BpfMap.TryOpenPinned(_pins.Map(name));
            if (map is not null && map.MaximumEntries != entries)
            {
                throw new IOException(
                    $"maps.{setting} is {entries}, but the map '{name}' of the instance '{_options.Instance}' holds {map.MaximumEntries}: "
                        + "sizes change only with pronghorn lb disable, then enable");
            }
        }
    }

    /// <summary>A cgroup that is removed takes its programs along; one made again under its name gets them again.</summary>
    private async Task KeepAttachedAsync(CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(s_sweepInterval);
        while (await timer.WaitForNextTickAsync(cancellation))
        {
            try
            {
                bool isComplete = _sockets.GetAttachments().Count == SocketLayer.HookCount;
                if (!isComplete)
                {
                    _sockets.Start(_cgroup, _options.Maps);
                    _problems.Report(new Problem("cgroup", "", $"{_cgroup} was made anew; its processes are served again"));
                }

                _isAttached = true;
                _problems.Replace("cgroup", []);
            }
            catch (BpfException failure)
            {
                _isAttached = false;
                _problems.Replace("cgroup", [new Problem(
                    "cgroup", "", $"processes of {_cgroup} are not served: {failure.Message}. It is tried again each "
                        + $"{s_sweepInterval.TotalSeconds} s")]);
            }
        }
    }

    private void Refresh()
    {
        lock (_gate)
        {
            try
            {
                _packets.Refresh(PacketInterface.List());
                TellNotices();
            }
            catch (BpfException failure)
            {
                _problems.Replace("interfaces", [new Problem("interfaces", "", failure.Message)]);
            }
        }
    }

    private void TellNotices() =>
        _problems.Replace("interfaces", [.. _packets.Notices.Select(notice => new Problem("interfaces", "", notice))]);

    private async Task CollectAsync(CancellationToken cancellation)
    {
        using BpfMap connections = BpfMap.OpenPinned(_pins.Map("connections"));
        using BpfMap settings = BpfMap.OpenPinned(_pins.Map("settings"));
        var collector = new ConnectionCollector(connections, settings);
        using var timer = new PeriodicTimer(s_sweepInterval);
        while (await timer.WaitForNextTickAsync(cancellation))
        {
            try
            {
                // The stopwatch counts from where CLOCK_MONOTONIC does.
                LastSweep = collector.Sweep(Stopwatch.GetElapsedTime(0));
            }
            catch (BpfException failure)
            {
                _problems.Report(new Problem("connections", "", failure.Message));
            }
        }
    }
}
