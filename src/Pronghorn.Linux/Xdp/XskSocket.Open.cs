// SPDX-License-Identifier: Apache-2.0
using System;
using System.Numerics;
using Pronghorn.Linux.Interop;
using Pronghorn.Memory;

namespace Pronghorn.Linux.Xdp;

public sealed unsafe partial class XskSocket
{
    private const int XdpLevel = 283;
    private const int OptionMapOffsets = 1;
    private const int OptionReceiveRing = 2;
    private const int OptionTransmitRing = 3;
    private const int OptionUmemRegister = 4;
    private const int OptionFillRing = 5;
    private const int OptionCompletionRing = 6;
    private const int OptionStatistics = 7;
    private const int OptionOptions = 8;
    private const int OptionTransmitBudget = 9;

    private const long PageReceive = 0;
    private const long PageTransmit = 0x80000000;
    private const long PageFill = 0x100000000;
    private const long PageCompletion = 0x180000000;

    private const ushort BindSharedUmem = 1;
    private const ushort BindCopy = 2;
    private const ushort BindZeroCopy = 4;
    private const ushort BindNeedWakeup = 8;

    /// <summary>
    /// Opens a socket, registers the pool's memory (or shares another socket's registration) and binds it to a queue.
    /// </summary>
    /// <param name="binding">Interface, queue, ring sizes and copying.</param>
    /// <param name="pool">The frames; its memory must be a <see cref="UmemRegion"/> or as good as one.</param>
    /// <param name="sharedWith">A socket over the same pool, for a second queue of a device; else null.</param>
    /// <param name="socket">The socket, or null on an error.</param>
    /// <param name="failedStep">Which step failed.</param>
    /// <returns>0, or the negative error number of the step that failed.</returns>
    /// <remarks>Allocates managed memory; meant for start-up.</remarks>
    public static int Open(
        in XskBinding binding,
        FramePool pool,
        XskSocket? sharedWith,
        out XskSocket? socket,
        out XskStep failedStep)
    {
        ArgumentNullException.ThrowIfNull(pool);
        socket = null;
        failedStep = XskStep.Rings;
        if (!binding.Rings.IsValid)
        {
            return -Errno.Invalid;
        }

        failedStep = XskStep.Socket;
        int fd = Libc.Socket(Constants.AddressFamilyXdp, Constants.SocketRaw | Constants.SocketCloseOnExec, 0);
        if (fd < 0)
        {
            return fd;
        }

        var made = new XskSocket(fd, pool);
        int result = made.Prepare(binding, sharedWith, out failedStep);
        if (result < 0)
        {
            made.Dispose();
            return result;
        }

        failedStep = XskStep.None;
        socket = made;
        return 0;
    }

    private int Prepare(in XskBinding binding, XskSocket? sharedWith, out XskStep failedStep)
    {
        failedStep = XskStep.RegisterMemory;
        int result = sharedWith is null ? RegisterMemory() : 0;
        if (result < 0)
        {
            return result;
        }

        failedStep = XskStep.Rings;
        result = CreateRings(binding.Rings);
        if (result < 0)
        {
            return result;
        }

        RaiseLimits(binding.Rings);
        failedStep = XskStep.Bind;
        return BindQueue(binding, sharedWith);
    }

    private int RegisterMemory()
    {
        var registration = new UmemRegistration
        {
            Address = (ulong)_pool.BaseAddress,
            Length = (ulong)_pool.FrameSize * (ulong)_pool.FrameCount,
            ChunkSize = (uint)_pool.FrameSize,
        };
        return Libc.SetSocketOption(FileDescriptor, XdpLevel, OptionUmemRegister, registration);
    }

    private int CreateRings(in XskRingSizes sizes)
    {
        int fd = FileDescriptor;
        int result = Libc.SetSocketOption(fd, XdpLevel, OptionFillRing, sizes.Fill);
        result = result < 0 ? result : Libc.SetSocketOption(fd, XdpLevel, OptionCompletionRing, sizes.Completion);
        result = result < 0 ? result : Libc.SetSocketOption(fd, XdpLevel, OptionReceiveRing, sizes.Receive);
        result = result < 0 ? result : Libc.SetSocketOption(fd, XdpLevel, OptionTransmitRing, sizes.Transmit);
        if (result < 0)
        {
            return result;
        }

        result = Libc.GetSocketOption(fd, XdpLevel, OptionMapOffsets, out MapOffsets offsets, out int length);
        if (result < 0 || length != sizeof(MapOffsets))
        {
            // Kernels before 5.4 have no flags word in their rings, hence neither the flag that says to wake them.
            return result < 0 ? result : -Errno.NotSupported;
        }

        result = _fill.Open(fd, PageFill, offsets.Fill, (uint)sizes.Fill);
        result = result < 0 ? result
            : _completion.Open(fd, PageCompletion, offsets.Completion, (uint)sizes.Completion);
        result = result < 0 ? result : _receive.Open(fd, PageReceive, offsets.Receive, (uint)sizes.Receive);
        return result < 0 ? result : _transmit.Open(fd, PageTransmit, offsets.Transmit, (uint)sizes.Transmit);
    }

    /// <summary>What a kernel may refuse without harm: one call that sends a whole ring, and room for it.</summary>
    private void RaiseLimits(in XskRingSizes sizes)
    {
        // Linux 6.17; before, one call sends 32 packets in copy mode.
        _ = Libc.SetSocketOption(FileDescriptor, XdpLevel, OptionTransmitBudget, sizes.Transmit);

        // In copy mode each packet on its way is a socket buffer that counts against the send buffer.
        _ = Libc.SetSocketOption(
            FileDescriptor, Constants.SocketLevel, Constants.SocketSendBufferForce, sizes.Transmit * 4096);
    }

    private int BindQueue(in XskBinding binding, XskSocket? sharedWith)
    {
        if (sharedWith is not null)
        {
            return TryBind(binding, BindSharedUmem, sharedWith.FileDescriptor);
        }

        int result = -Errno.NotSupported;
        if (binding.Mode != XskCopyMode.Copy)
        {
            result = TryBind(binding, BindZeroCopy | BindNeedWakeup, 0);
            if (result != -Errno.NotSupported && result != -Errno.Invalid)
            {
                return result;
            }
        }

        return binding.Mode == XskCopyMode.ZeroCopy ? result : TryBind(binding, BindCopy | BindNeedWakeup, 0);
    }

    private int TryBind(in XskBinding binding, int flags, int sharedDescriptor)
    {
        var address = new XdpAddress
        {
            Family = Constants.AddressFamilyXdp,
            Flags = (ushort)flags,
            InterfaceIndex = binding.InterfaceIndex,
            QueueId = binding.Queue,
            SharedUmemDescriptor = sharedDescriptor,
        };
        int result = Libc.Bind(FileDescriptor, address);
        if (result == 0)
        {
            _ = Libc.GetSocketOption(FileDescriptor, XdpLevel, OptionOptions, out uint options, out _);
            IsZeroCopy = (options & 1) != 0;
        }

        return result;
    }
}
