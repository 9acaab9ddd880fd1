// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.Collections.Generic;
using Pronghorn.Devices;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Xdp;
using Pronghorn.Runtime;
using Pronghorn.Runtime.Statistics;
using Pronghorn.Stack;

namespace Pronghorn.Preload;

/// <summary>Keeps the process's statistics page: the stack's counters, and those of the device and of the preload library.</summary>
internal sealed unsafe class StatisticsPublisher : IDisposable
{
    private static readonly Duration s_idleInterval = Duration.FromSeconds(1);

    // enum pronghorn_counter
    private static readonly string[] s_preloadNames =
        ["lock_contended", "calls_reentered", "watchdog_polls", "waits_blocked", "fallbacks"];

    private static readonly string[] s_steeringNames =
    [
        "steer_redirected", "steer_passed", "steer_passed_kernel_socket", "steer_malformed", "steer_icmp_redirected",
        "steer_fragment_redirected", "steer_fragment_passed", "steer_no_socket",
    ];

    private static readonly string[] s_deviceNames =
    [
        "device_received", "device_transmitted", "device_kicks", "device_kick_again", "device_kick_busy",
        "device_kick_no_buffers", "device_kick_failed", "device_fill_starved", "device_transmit_ring_full",
        "device_invalid_descriptors", "device_kernel_receive_dropped", "device_kernel_receive_ring_full",
        "device_kernel_fill_ring_empty", "device_gone", "device_gone_discarded", "frames_free", "frames_total",
    ];

    /// <summary>Names of the counters beside the stack's, in the order of the page.</summary>
    internal static IEnumerable<string> Names => [.. s_preloadNames, .. s_steeringNames, .. s_deviceNames];

    private readonly Shard _shard;
    private readonly StatisticsWriter _writer;
    private readonly long* _preload;
    private readonly int _firstPreload;
    private readonly int _firstSteering;
    private readonly int _firstDevice;
    private Instant _idleDue;
    private long _activity;
    private long _written = -1;

    private StatisticsPublisher(Shard shard, StatisticsWriter writer, long* preload)
    {
        _shard = shard;
        _writer = writer;
        _preload = preload;
        _firstPreload = Add(s_preloadNames);
        _firstSteering = Add(s_steeringNames);
        _firstDevice = Add(s_deviceNames);
    }

    /// <summary>Makes the page of this process; null where it cannot be made, which is no reason not to run.</summary>
    /// <param name="shard">What the page shows.</param>
    /// <param name="preload">The library's counters.</param>
    /// <param name="reason">Where it was tried, and why it failed.</param>
    public static StatisticsPublisher? Create(Shard shard, long* preload, out string reason)
    {
        reason = "";
        foreach (string place in StatisticsPlaces.ForWriting())
        {
            int error = StatisticsWriter.Create(
                place, Environment.ProcessId, shard.InterfaceId, out StatisticsWriter? writer);
            if (error == 0 && writer is not null)
            {
                return new StatisticsPublisher(shard, writer, preload);
            }

            string why = error switch
            {
                -Errno.AccessDenied or -Errno.OperationNotPermitted => "permission denied",
                -Errno.NoEntry => "its parent does not exist",
                _ => "error " + (-error).ToString(CultureInfo.InvariantCulture),
            };
            reason += (reason.Length > 0 ? ", " : "") + place + ": " + why;
        }

        return null;
    }

    /// <summary>Writes when a reader asks.</summary>
    public void Poll(Instant now)
    {
        if (_writer.IsWanted(now))
        {
            Write(now);
        }
    }

    /// <summary>The program goes to sleep and could not answer a reader until it wakes.</summary>
    public void BeforeSleep(Instant now, long activity)
    {
        _activity = activity;
        if (now >= _idleDue && Stamp != _written)
        {
            Write(now);
        }
    }

    /// <summary>When a program that goes idle has to wake once, so that the page shows how it ended up.</summary>
    public Instant NextDeadline(long activity)
    {
        _activity = activity;
        return Stamp == _written ? Instant.Never : _idleDue;
    }

    // Differs when there is something that the page does not show: all of it only grows.
    private long Stamp =>
        _activity + _shard.Stack.Counters[Counter.FramesIn] + _shard.Stack.Counters[Counter.FramesOut]
        + (_shard.Mirror.IsDeviceGone ? 1 : 0);

    /// <inheritdoc/>
    public void Dispose() => _writer.Dispose();

    private int Add(ReadOnlySpan<string> names)
    {
        int first = -1;
        foreach (string name in names)
        {
            int at = _writer.AddCounter(name, isDrop: false);
            first = first < 0 ? at : first;
        }

        return first;
    }

    private void Write(Instant now)
    {
        _idleDue = now + s_idleInterval;
        _written = Stamp;
        for (int i = 0; i < s_preloadNames.Length; i++)
        {
            _writer.Set(_firstPreload + i, _preload[i]);
        }

        XdpStatistics statistics = _shard.Device.GetStatistics();
        for (int i = 0; i < SteeringCounters.Count; i++)
        {
            _writer.Set(_firstSteering + i, (long)statistics.Steering[(SteeringCounter)i]);
        }

        XskStatistics socket = statistics.Socket;
        XskKernelStatistics kernel = statistics.Kernel;
        ReadOnlySpan<long> values =
        [
            (long)socket.Received, (long)socket.Transmitted, (long)socket.Kicks, (long)socket.KickAgain,
            socket.KickBusy, (long)socket.KickNoBuffers, (long)socket.KickFailed, (long)socket.FillStarved,
            (long)socket.TransmitRingFull, socket.InvalidDescriptors, (long)kernel.ReceiveDropped, (long)kernel.ReceiveRingFull,
            (long)kernel.FillRingEmpty, _shard.Mirror.IsDeviceGone ? 1 : 0, _shard.FramesDiscarded,
            _shard.Device.Frames.FreeCount, _shard.Device.Frames.FrameCount,
        ];
        for (int i = 0; i < values.Length; i++)
        {
            _writer.Set(_firstDevice + i, values[i]);
        }

        _writer.Write(_shard.Stack, now);
    }
}
