// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Linux;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Xdp;
using Pronghorn.Memory;

namespace Pronghorn.Devices;

public sealed partial class XdpDevice
{
    private const int MaximumQueues = 64;

    /// <summary>Bytes that XDP reserves in front of a packet (XDP_PACKET_HEADROOM).</summary>
    private const int KernelHeadroom = 256;

    /// <summary>Ethernet header and one VLAN tag.</summary>
    private const int LinkHeader = 18;

    private const int SmallestRing = 64;
    private const int ReleaseAttempts = 50;
    private const int ReleaseWaitMilliseconds = 10;

    /// <summary>
    /// Opens an interface: attaches the steering program, which owns nothing yet, and binds a socket to each queue.
    /// </summary>
    /// <param name="interfaceName">Name of the interface in the calling thread's network namespace.</param>
    /// <param name="options">Sizes and modes; null for the defaults.</param>
    /// <returns>The device, or what was wrong and what to do. Nothing is left behind on an error.</returns>
    public static XdpOpenResult Open(string interfaceName, XdpDeviceOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(interfaceName);
        options ??= new XdpDeviceOptions();
        if (!options.Rings.IsValid || options.FrameSize is not (2048 or 4096) || options.FrameCount is < 128 or > 1 << 24)
        {
            return XdpErrors.BadOptions();
        }

        if (!InterfaceName.TryCreate(interfaceName, out InterfaceName name))
        {
            return XdpErrors.InterfaceNotFound(interfaceName);
        }

        int result = NetworkDevice.Query(name, out NetworkDevice information);
        if (result < 0)
        {
            return result == -Errno.NoDevice
                ? XdpErrors.InterfaceNotFound(interfaceName)
                : XdpErrors.Failed(interfaceName, result, "reading the interface");
        }

        int largestMtu = LargestMtuOf(options.FrameSize);
        if (information.Mtu > largestMtu)
        {
            return XdpErrors.MtuTooLarge(interfaceName, information.Mtu, largestMtu, options.FrameSize);
        }

        int largestCount = Math.Min(MaximumQueues, options.FrameCount / (2 * SmallestRing));
        if (information.ReceiveQueues > largestCount)
        {
            return XdpErrors.TooManyQueues(interfaceName, information.ReceiveQueues, largestCount);
        }

        return OpenSteering(interfaceName, information, options);
    }

    private static XdpOpenResult OpenSteering(string name, in NetworkDevice information, XdpDeviceOptions options)
    {
        int result = SteeringProgram.Load(out SteeringProgram? steering, out SteeringStep step);
        if (steering is null)
        {
            return XdpErrors.FromSteering(name, result, step);
        }

        result = steering.Attach(information.Index, options.AttachMode);
        if (result < 0)
        {
            steering.Dispose();
            return XdpErrors.FromAttach(name, information.Index, result);
        }

        XdpOpenResult opened = OpenSockets(name, information, options, steering);
        if (!opened.Succeeded)
        {
            steering.Dispose();
        }

        return opened;
    }

    private static XdpOpenResult OpenSockets(
        string name,
        in NetworkDevice information,
        XdpDeviceOptions options,
        SteeringProgram steering)
    {
        long bytes = (long)options.FrameSize * options.FrameCount;
        int result = UmemRegion.Create(bytes, out UmemRegion? region);
        if (region is null)
        {
            return XdpErrors.OutOfMemory(name, result, bytes);
        }

        ResourceLimit before = default;
        bool raised = options.RaiseLockedMemoryLimit && LockedMemory.TryRaise((ulong)bytes, out before);
        var frames = new FramePool(region.Address, options.FrameSize, options.FrameCount);
        var sockets = new XskSocket[information.ReceiveQueues];
        XdpOpenResult? failure = BindQueues(name, information, options, frames, sockets);
        if (raised)
        {
            LockedMemory.Restore(before);
        }

        int epoll = -1;
        failure ??= Connect(name, steering, sockets, out epoll);
        if (failure is null)
        {
            return new XdpOpenResult(new XdpDevice(information, region, frames, steering, sockets, epoll));
        }

        foreach (XskSocket? socket in sockets)
        {
            socket?.Dispose();
        }

        frames.Dispose();
        region.Dispose();
        return failure;
    }

    private static XdpOpenResult? BindQueues(
        string name,
        in NetworkDevice information,
        XdpDeviceOptions options,
        FramePool frames,
        XskSocket[] sockets)
    {
        // On veth the zero-copy request would only be refused.
        XskCopyMode mode = options.CopyMode == XskCopyMode.Automatic && information.Driver.Equals("veth"u8)
            ? XskCopyMode.Copy
            : options.CopyMode;
        for (int queue = 0; queue < sockets.Length; queue++)
        {
            var binding = new XskBinding(information.Index, queue, FitRings(options, sockets.Length, queue), mode);
            XskSocket? first = queue == 0 ? null : sockets[0];
            int result = OpenSocket(binding, frames, first, out XskSocket? socket, out XskStep step);
            if (socket is null)
            {
                return XdpErrors.FromSocket(name, queue, result, step, mode, (long)frames.FrameSize * frames.FrameCount);
            }

            sockets[queue] = socket;
            _ = socket.Refill();
        }

        return null;
    }

    /// <summary>
    /// Shrinks the rings until the queues together hold no more than half of the frames for receiving: the other half is
    /// what the stack keeps and transmits. Only the first queue transmits.
    /// </summary>
    private static XskRingSizes FitRings(XdpDeviceOptions options, int queues, int queue)
    {
        XskRingSizes rings = options.Rings;
        int fill = rings.Fill;
        while (fill > SmallestRing && (long)fill * queues > options.FrameCount / 2)
        {
            fill /= 2;
        }

        return queue == 0
            ? rings with { Fill = fill, Receive = Math.Min(rings.Receive, fill) }
            : new XskRingSizes(fill, Math.Min(rings.Receive, fill), SmallestRing, SmallestRing);
    }

    /// <summary>
    /// The kernel unbinds a dead process's socket from its queue a moment after the process is gone, on a work queue that
    /// signals nobody. No living Pronghorn has the queue, since our program is attached; so ask again for a while.
    /// </summary>
    private static int OpenSocket(
        in XskBinding binding,
        FramePool frames,
        XskSocket? first,
        out XskSocket? socket,
        out XskStep step)
    {
        int result = XskSocket.Open(binding, frames, first, out socket, out step);
        for (int i = 0; i < ReleaseAttempts && result == -Errno.Busy && step == XskStep.Bind; i++)
        {
            _ = Libc.Poll(default, ReleaseWaitMilliseconds);
            result = XskSocket.Open(binding, frames, first, out socket, out step);
        }

        return result;
    }

    private static int LargestMtuOf(int frameSize) => frameSize - KernelHeadroom - LinkHeader;

    private static XdpOpenResult? Connect(string name, SteeringProgram steering, XskSocket[] sockets, out int epoll)
    {
        epoll = -1;
        for (int queue = 0; queue < sockets.Length; queue++)
        {
            int result = steering.SetSocket(queue, sockets[queue].FileDescriptor);
            if (result < 0)
            {
                return XdpErrors.Failed(name, result, "entering a socket into the steering program's map");
            }
        }

        if (sockets.Length == 1)
        {
            return null;
        }

        epoll = Libc.EpollCreate();
        if (epoll < 0)
        {
            return XdpErrors.Failed(name, epoll, "making an epoll set of the queues");
        }

        foreach (XskSocket socket in sockets)
        {
            int result = Libc.EpollControl(epoll, operation: 1, socket.FileDescriptor, events: 1, data: 0);
            if (result < 0)
            {
                _ = Libc.Close(epoll);
                return XdpErrors.Failed(name, result, "adding a queue to the epoll set");
            }
        }

        return null;
    }
}
