// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Memory;
using Pronghorn.Stack.Ip;
using Pronghorn.Stack.Link;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Stack;

/// <summary>
/// One TCP/IP stack. It does no I/O: frames, user calls and the time come in as arguments; frames and events are taken
/// out. So it runs the same under a device and under a simulator.
/// </summary>
/// <remarks>One writer: the caller serialises. After construction nothing is allocated on the managed heap.</remarks>
public sealed partial class NetworkStack : IDisposable
{
    private readonly StackOptions _options;
    private readonly FramePool _frames;
    private readonly TransmitQueue?[] _devices = new TransmitQueue?[Limits.MaximumDevices];
    private readonly PathEpoch _epoch = new();
    private readonly PathMtuCache _pathMtus;
    private int _generationSeen;

    /// <summary>Makes a stack without devices, addresses and routes.</summary>
    /// <param name="options">How it is to behave.</param>
    /// <param name="frames">Frames for everything that it sends and holds; shared with its devices.</param>
    public NetworkStack(StackOptions options, FramePool frames)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(frames);
        _options = options;
        _frames = frames;
        Interfaces = new InterfaceTable(_epoch, Counters);
        Routes = new RouteTable(_epoch, Counters);
        Neighbors = new NeighborTable(_epoch, Counters, options.Secret0, options.Secret1);
        _pathMtus = new PathMtuCache(Counters, options.Secret0, options.Secret1);
        Tcp = new TcpEngine(this, options, frames, Counters, _epoch);
    }

    /// <summary>TCP.</summary>
    public TcpEngine Tcp { get; }

    /// <summary>The host's interfaces and addresses.</summary>
    public InterfaceTable Interfaces { get; }

    /// <summary>The host's routes.</summary>
    public RouteTable Routes { get; }

    /// <summary>Link addresses of next hops.</summary>
    public NeighborTable Neighbors { get; }

    /// <summary>Counters.</summary>
    public StackCounters Counters { get; } = new();

    /// <summary>When <see cref="Poll"/> must be called next; <see cref="Instant.Never"/> when no timer runs.</summary>
    public Instant NextDeadline => Instant.Earlier(Tcp.NextTimer, Tcp.StarvedDeadline);

    /// <summary>Whether frames wait for a device.</summary>
    public bool HasTransmit
    {
        get
        {
            foreach (TransmitQueue? device in _devices)
            {
                if (device is { Count: > 0 })
                {
                    return true;
                }
            }

            return false;
        }
    }

    /// <summary>The present epoch of paths.</summary>
    internal int PathGeneration => _epoch.Value;

    /// <summary>Lets the stack send by an interface. Done at start-up, since it allocates.</summary>
    /// <param name="interfaceId">The interface's id in <see cref="Interfaces"/>.</param>
    /// <exception cref="InvalidOperationException">There are <see cref="Limits.MaximumDevices"/> devices already.</exception>
    public void AttachDevice(int interfaceId)
    {
        for (int i = 0; i < _devices.Length; i++)
        {
            if (_devices[i] == null)
            {
                _devices[i] = new TransmitQueue(interfaceId, _frames.FrameCount);
                _epoch.Value++;
                return;
            }
        }

        throw new InvalidOperationException($"A stack drives at most {Limits.MaximumDevices} devices.");
    }

    /// <summary>Whether a device is attached to an interface.</summary>
    public bool HasDevice(int interfaceId) => FindDevice(interfaceId) != null;

    /// <summary>Takes received frames, with the reference that each carries.</summary>
    public void Receive(ReadOnlySpan<FrameDescriptor> frames, int interfaceId, Instant now)
    {
        Tcp.SetTime(now);
        NoticePathChanges();
        foreach (ref readonly FrameDescriptor packet in frames)
        {
            Counters.Add(Counter.FramesIn);
            Counters.Add(Counter.BytesIn, packet.Length);
            if (!FrameArrives(packet, interfaceId, now))
            {
                _frames.Release(packet.Frame);
            }
        }

        Tcp.FlushAcks();
    }

    /// <summary>Runs timers that are due and what has become possible since the last call.</summary>
    public void Poll(Instant now)
    {
        Tcp.SetTime(now);
        NoticePathChanges();
        Tcp.Poll(now);
        if (_options.NeighborMode == NeighborMode.Standalone)
        {
            SendArpRequests();
        }
    }

    /// <summary>Takes frames that a device is to send. Each carries a reference that the device releases when it is done.</summary>
    public int DequeueTransmit(Span<FrameDescriptor> destination, int interfaceId)
    {
        TransmitQueue? device = FindDevice(interfaceId);
        return device == null ? 0 : device.Dequeue(destination);
    }

    /// <summary>Frames that wait for a device.</summary>
    public int TransmitCount(int interfaceId) => FindDevice(interfaceId)?.Count ?? 0;

    /// <summary>Which of our addresses a connection to a destination would have, as the kernel would choose it.</summary>
    public bool TrySelectSource(in IpAddress destination, out IpAddress source, out int interfaceId)
    {
        source = default;
        interfaceId = 0;
        if (!Routes.TryLookup(destination, out Route route))
        {
            return false;
        }

        interfaceId = route.InterfaceId;
        source = route.PreferredSource;
        if (!source.IsAny)
        {
            return true;
        }

        foreach (ref readonly InterfaceAddress address in Interfaces.Addresses)
        {
            if (address.InterfaceId == route.InterfaceId)
            {
                source = address.Address;
                return true;
            }
        }

        return false;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Tcp.Dispose();
        Interfaces.Dispose();
        Routes.Dispose();
        Neighbors.Dispose();
        _pathMtus.Dispose();
    }

    internal bool TryRoute(in IpAddress destination, out int interfaceId)
    {
        bool found = Routes.TryLookup(destination, out Route route);
        interfaceId = route.InterfaceId;
        return found && FindDevice(interfaceId) != null;
    }

    /// <summary>An ICMP error that was found to be about a connection told the MTU of its path, in bytes.</summary>
    internal void LearnPathMtu(in IpAddress destination, int mtu, Instant now) => _pathMtus.Learn(destination, mtu, now);

    internal int PathMtuOf(in IpAddress destination, int interfaceId, Instant now)
    {
        int mtu = Interfaces.TryGet(interfaceId, out NetworkInterface device) && device.Mtu > 0 ? device.Mtu : 1500;
        if (Routes.TryLookup(destination, out Route route) && route.Mtu > 0)
        {
            mtu = Math.Min(mtu, route.Mtu);
        }

        int learnt = _pathMtus.Lookup(destination, now);
        if (learnt > 0)
        {
            mtu = Math.Min(mtu, learnt);
        }

        return Math.Min(mtu, _frames.FrameSize - Limits.TransmitHeadroom + Ipv4Header.MinimumLength + TcpHeader.MinimumLength);
    }

    /// <summary>Interface and next hop's link address for a destination.</summary>
    internal PathResult ResolvePath(in IpAddress destination, int hint, Instant now)
    {
        if (!TryFindNextHop(destination, out int interfaceId, out IpAddress nextHop))
        {
            return new PathResult(PathStatus.NoRoute, hint, default);
        }

        if (FindDevice(interfaceId) == null)
        {
            return new PathResult(PathStatus.NoRoute, interfaceId, default);
        }

        return Neighbors.TryResolve(interfaceId, nextHop, now, out MacAddress mac)
            ? new PathResult(PathStatus.Resolved, interfaceId, mac)
            : new PathResult(PathStatus.NeighborUnresolved, interfaceId, default);
    }

    /// <summary>Whether the next hop to a destination was given up, and those who wait for it were not told yet.</summary>
    internal bool HasNextHopFailed(in IpAddress destination) =>
        TryFindNextHop(destination, out int interfaceId, out IpAddress nextHop) && Neighbors.IsFailed(interfaceId, nextHop);

    /// <summary>A destination does not answer: has the kernel look whether the next hop is still there.</summary>
    internal void VerifyNextHop(in IpAddress destination, Instant now)
    {
        if (_options.NeighborMode == NeighborMode.Kernel
            && TryFindNextHop(destination, out int interfaceId, out IpAddress nextHop))
        {
            Neighbors.Verify(interfaceId, nextHop, now);
        }
    }

    internal bool HasTransmitRoom(int interfaceId)
    {
        TransmitQueue? device = FindDevice(interfaceId);
        return device is { HasRoom: true };
    }

    internal void WriteLinkHeader(Span<byte> frame, int interfaceId, MacAddress destination, EtherType type)
    {
        TransmitQueue? device = FindDevice(interfaceId);
        if (device != null && device.MacGeneration != Interfaces.Generation)
        {
            device.MacGeneration = Interfaces.Generation;
            device.Mac = Interfaces.TryGet(interfaceId, out NetworkInterface record) ? record.Mac : default;
        }

        EthernetHeader.Write(frame, destination, device?.Mac ?? default, type);
    }

    internal void Enqueue(int interfaceId, int frame, int offset, int length)
    {
        TransmitQueue? device = FindDevice(interfaceId);
        if (device == null || !device.TryEnqueue(new FrameDescriptor(frame, (ushort)offset, (ushort)length)))
        {
            Counters.Drop(DropReason.TransmitQueueFull);
            _frames.Release(frame);
            return;
        }

        Counters.Add(Counter.FramesOut);
        Counters.Add(Counter.BytesOut, length);
    }

    private bool TryFindNextHop(in IpAddress destination, out int interfaceId, out IpAddress nextHop)
    {
        bool found = Routes.TryLookup(destination, out Route route);
        interfaceId = route.InterfaceId;
        nextHop = route.Gateway.IsAny ? destination : route.Gateway;
        return found;
    }

    private TransmitQueue? FindDevice(int interfaceId)
    {
        TransmitQueue? first = _devices[0];
        if (first != null && first.InterfaceId == interfaceId)
        {
            return first;
        }

        for (int i = 1; i < _devices.Length; i++)
        {
            if (_devices[i] is { } device && device.InterfaceId == interfaceId)
            {
                return device;
            }
        }

        return null;
    }

    private void NoticePathChanges()
    {
        int generation = PathGeneration;
        if (generation != _generationSeen)
        {
            _generationSeen = generation;
            Tcp.PathsChanged();
        }
    }
}
