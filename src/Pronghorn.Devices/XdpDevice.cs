// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Linux;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Xdp;
using Pronghorn.Memory;
using Pronghorn.Wire;

namespace Pronghorn.Devices;

/// <summary>
/// An interface of the kernel of which we own some flows: the steering program on it, an AF_XDP socket for each of its
/// receive queues, and the frames that they share. Everything else on the interface stays with the kernel.
/// </summary>
/// <remarks>
/// One thread at a time. After <see cref="Open"/> no member allocates managed memory. Packets are transmitted on the
/// first queue. When the process dies in whatever way, the kernel takes all of it down.
/// </remarks>
public sealed partial class XdpDevice : IDisposable
{
    /// <summary>The most that <see cref="GetDescriptors"/> writes: of the program 5, of each queue 1, and the set of them.</summary>
    public const int MaximumDescriptors = 6 + MaximumQueues;

    private const byte ProtocolTcp = 6;

    private readonly UmemRegion _region;
    private readonly SteeringProgram _steering;
    private readonly XskSocket[] _sockets;
    private readonly int _epoll;
    private int _nextSocket;
    private bool _disposed;

    private XdpDevice(
        in NetworkDevice information,
        UmemRegion region,
        FramePool frames,
        SteeringProgram steering,
        XskSocket[] sockets,
        int epoll)
    {
        Information = information;
        _region = region;
        Frames = frames;
        _steering = steering;
        _sockets = sockets;
        _epoll = epoll;
    }

    /// <summary>The interface as it was when the device was opened.</summary>
    public NetworkDevice Information { get; }

    /// <summary>The largest packet in bytes, link header not counted, that one of its frames holds.</summary>
    public int LargestMtu => LargestMtuOf(Frames.FrameSize);

    /// <summary>The frames. The stack rents from it what it transmits, and releases what it has received.</summary>
    public FramePool Frames { get; }

    /// <summary>
    /// A descriptor that is readable while packets wait, for poll and epoll: the socket, or an epoll set of the sockets
    /// where there are several queues.
    /// </summary>
    public int FileDescriptor => _epoll >= 0 ? _epoll : _sockets[0].FileDescriptor;

    /// <summary>Number of receive queues bound.</summary>
    public int QueueCount => _sockets.Length;

    /// <summary>Whether the device reads and writes the frames itself.</summary>
    public bool IsZeroCopy => _sockets[0].IsZeroCopy;

    /// <summary>Whether the steering program runs behind the driver.</summary>
    public bool IsGenericMode => _steering.IsGeneric;

    /// <summary>Whether the kernel showed an impossible ring index; the device is of no more use then.</summary>
    public bool IsCorrupt
    {
        get
        {
            foreach (XskSocket socket in _sockets)
            {
                if (socket.IsCorrupt)
                {
                    return true;
                }
            }

            return false;
        }
    }

    /// <summary>Packets in the transmit ring that the kernel has not taken.</summary>
    public int PendingTransmit => _sockets[0].PendingTransmit;

    /// <summary>Takes received packets; the caller then holds one reference to each frame. Refills the fill rings.</summary>
    /// <returns>How many, 0 to the length of <paramref name="packets"/>.</returns>
    public int Receive(Span<FrameDescriptor> packets)
    {
        if (_sockets.Length == 1)
        {
            return _sockets[0].Receive(packets);
        }

        // Begin with another queue each time, so that a busy one starves none.
        int taken = 0;
        _nextSocket = (_nextSocket + 1) % _sockets.Length;
        for (int i = 0; i < _sockets.Length && taken < packets.Length; i++)
        {
            taken += _sockets[(_nextSocket + i) % _sockets.Length].Receive(packets[taken..]);
        }

        return taken;
    }

    /// <summary>
    /// Gives free frames to the kernel to receive into. <see cref="Receive"/> does so too; this is for after a shortage.
    /// </summary>
    /// <returns>False when the pool ran out first.</returns>
    public bool Refill()
    {
        bool full = true;
        foreach (XskSocket socket in _sockets)
        {
            full &= socket.Refill();
        }

        return full;
    }

    /// <summary>
    /// Queues packets. The device takes over one reference to the frame of each packet taken, and gives it back through
    /// <see cref="ReapCompletions(Span{int})"/>. Nothing is sent before <see cref="Kick"/>.
    /// </summary>
    /// <returns>How many were taken, in order; fewer when the ring is full.</returns>
    public int Transmit(ReadOnlySpan<FrameDescriptor> packets) => _sockets[0].Transmit(packets);

    /// <summary>Has the kernel send what is queued.</summary>
    /// <returns>0; -EAGAIN when packets are left for a later kick; or a negative error number, as -ENETDOWN.</returns>
    public int Kick() => _sockets[0].Kick();

    /// <summary>Takes back the frames of packets that were sent; the caller then holds one reference to each.</summary>
    /// <returns>How many, 0 to the length of <paramref name="frames"/>.</returns>
    public int ReapCompletions(Span<int> frames) => _sockets[0].ReapCompletions(frames);

    /// <summary>Takes back the frames of packets that were sent, and releases them.</summary>
    /// <returns>How many.</returns>
    public int ReapCompletions()
    {
        Span<int> frames = stackalloc int[64];
        int total = 0;
        int count;
        do
        {
            count = _sockets[0].ReapCompletions(frames);
            for (int i = 0; i < count; i++)
            {
                Frames.Release(frames[i]);
            }

            total += count;
        }
        while (count == frames.Length);

        return total;
    }

    /// <summary>Owns a TCP port of a local address from the next packet on, or changes the options of an owned one.</summary>
    /// <param name="address">A local address. The wildcard address means only itself: list each address.</param>
    /// <param name="port">The local port.</param>
    /// <param name="options">How to steer it.</param>
    /// <returns>0, or a negative error number: -E2BIG when 131072 ends are owned.</returns>
    public int AddOwned(in IpAddress address, ushort port, SteeringOptions options = SteeringOptions.None) =>
        _steering.AddOwned(ProtocolTcp, address, port, options);

    /// <summary>Gives a TCP port of a local address back to the kernel.</summary>
    /// <returns>0, or -ENOENT when it was not owned.</returns>
    public int RemoveOwned(in IpAddress address, ushort port) => _steering.RemoveOwned(ProtocolTcp, address, port);

    /// <summary>Owns a port of any protocol; see <see cref="AddOwned(in IpAddress, ushort, SteeringOptions)"/>.</summary>
    public int AddOwned(byte protocol, in IpAddress address, ushort port, SteeringOptions options) =>
        _steering.AddOwned(protocol, address, port, options);

    /// <summary>Gives a port of any protocol back; see <see cref="RemoveOwned(in IpAddress, ushort)"/>.</summary>
    public int RemoveOwned(byte protocol, in IpAddress address, ushort port) =>
        _steering.RemoveOwned(protocol, address, port);

    /// <summary>Reads all counters: a system call for each queue and each steering counter.</summary>
    public XdpStatistics GetStatistics()
    {
        XskStatistics sum = default;
        XskKernelStatistics kernelSum = default;
        foreach (XskSocket socket in _sockets)
        {
            Add(ref sum, socket.Statistics);
            if (socket.GetKernelStatistics(out XskKernelStatistics kernel) == 0)
            {
                Add(ref kernelSum, kernel);
            }
        }

        _ = _steering.ReadCounters(out SteeringCounters steering);
        return new XdpStatistics(sum, steering, kernelSum);
    }

    /// <summary>
    /// Writes the descriptors that a forked child must close, so that the device goes with its process and not with
    /// the last child.
    /// </summary>
    /// <returns>How many were written; at most 6 + <see cref="QueueCount"/>.</returns>
    public int GetDescriptors(Span<int> descriptors)
    {
        int count = _steering.GetDescriptors(descriptors);
        foreach (XskSocket socket in _sockets)
        {
            if (count < descriptors.Length)
            {
                descriptors[count++] = socket.FileDescriptor;
            }
        }

        if (_epoll >= 0 && count < descriptors.Length)
        {
            descriptors[count++] = _epoll;
        }

        return count;
    }

    /// <summary>Detaches the program, closes the sockets and frees the frames.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        _steering.Dispose();
        foreach (XskSocket socket in _sockets)
        {
            socket.Dispose();
        }

        if (_epoll >= 0)
        {
            _ = Libc.Close(_epoll);
        }

        Frames.Dispose();
        _region.Dispose();
    }

    private static void Add(ref XskStatistics sum, in XskStatistics item)
    {
        sum.Received += item.Received;
        sum.Transmitted += item.Transmitted;
        sum.Completed += item.Completed;
        sum.FillStarved += item.FillStarved;
        sum.TransmitRingFull += item.TransmitRingFull;
        sum.Kicks += item.Kicks;
        sum.KickAgain += item.KickAgain;
        sum.KickBusy += item.KickBusy;
        sum.KickNoBuffers += item.KickNoBuffers;
        sum.KickFailed += item.KickFailed;
        sum.InvalidDescriptors += item.InvalidDescriptors;
    }

    private static void Add(ref XskKernelStatistics sum, in XskKernelStatistics item)
    {
        sum.ReceiveDropped += item.ReceiveDropped;
        sum.ReceiveInvalidDescriptors += item.ReceiveInvalidDescriptors;
        sum.TransmitInvalidDescriptors += item.TransmitInvalidDescriptors;
        sum.ReceiveRingFull += item.ReceiveRingFull;
        sum.FillRingEmpty += item.FillRingEmpty;
        sum.TransmitRingEmpty += item.TransmitRingEmpty;
    }
}
