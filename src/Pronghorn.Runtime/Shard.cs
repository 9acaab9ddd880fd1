// SPDX-License-Identifier: Apache-2.0
using System;
using System.Security.Cryptography;
using Pronghorn.Devices;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Xdp;
using Pronghorn.Memory;
using Pronghorn.Stack;
using Pronghorn.Wire;

namespace Pronghorn.Runtime;

/// <summary>
/// One stack with one device: the unit that one thread at a time drives. It knows nothing of sockets; it moves frames,
/// keeps the kernel's tables mirrored and says when it wants to be driven next.
/// </summary>
/// <remarks>One thread at a time. After <see cref="Open"/> nothing is allocated on the managed heap.</remarks>
public sealed class Shard : IDisposable
{
    /// <summary>The most descriptors that a shard holds: one a queue, and those of the steering program and the mirror.</summary>
    public const int DescriptorLimit = XdpDevice.MaximumDescriptors + 1;

    private const int BatchSize = 64;

    // More in one round would let packets that still arrive keep the program waiting for those that are here.
    private const int RoundLimit = 512;

    // A look at the netlink socket is a system call; the poll loop may spin.
    private static readonly Duration s_mirrorInterval = Duration.FromMilliseconds(20);

    private readonly FrameDescriptor[] _batch = new FrameDescriptor[BatchSize];
    private readonly FrameDescriptor[] _outgoing = new FrameDescriptor[BatchSize];
    private readonly int _interfaceId;
    private int _outgoingFirst;
    private int _outgoingCount;
    private Instant _mirrorDue;

    private Shard(NetworkStack stack, XdpDevice device, KernelMirror mirror)
    {
        Stack = stack;
        Device = device;
        Mirror = mirror;
        _interfaceId = device.Information.Index;
    }

    /// <summary>The stack.</summary>
    public NetworkStack Stack { get; }

    /// <summary>The device.</summary>
    public XdpDevice Device { get; }

    /// <summary>The kernel's tables.</summary>
    public KernelMirror Mirror { get; }

    /// <summary>The device's interface.</summary>
    public int InterfaceId => _interfaceId;

    /// <summary>Frames received since the start.</summary>
    public long FramesReceived { get; private set; }

    /// <summary>Kicks of the device that were needed to send.</summary>
    public long Flushes { get; private set; }

    /// <summary>Frames that were to be sent after the device's interface was gone.</summary>
    public long FramesDiscarded { get; private set; }

    /// <summary>When <see cref="Poll"/> must be called next although nothing arrives.</summary>
    public Instant NextDeadline => Stack.NextDeadline;

    /// <summary>Whether frames wait to be sent.</summary>
    public bool HasPending =>
        _outgoingCount > 0 || Stack.HasTransmit || (Device.PendingTransmit > 0 && !Mirror.IsDeviceGone);

    /// <summary>Opens the device and sets up a stack on it with the kernel's addresses and routes.</summary>
    /// <param name="interfaceName">The interface, in the calling thread's network namespace.</param>
    /// <param name="options">Options; null for the defaults.</param>
    /// <param name="shard">The shard on success, null otherwise.</param>
    /// <returns>The outcome of opening the device, which says what was wrong and what to do.</returns>
    public static XdpOpenResult Open(string interfaceName, ShardOptions? options, out Shard? shard)
    {
        options ??= new ShardOptions();
        shard = null;
        XdpOpenResult opened = XdpDevice.Open(interfaceName, options.Device);
        if (!opened.Succeeded)
        {
            return opened;
        }

        XdpDevice device = opened.Device;
        Span<byte> secret = stackalloc byte[16];
        RandomNumberGenerator.Fill(secret);
        NetworkStack stack = new(
            new StackOptions
            {
                MaximumConnections = options.MaximumConnections,
                Congestion = options.Congestion,
                Secret0 = BitConverter.ToUInt64(secret),
                Secret1 = BitConverter.ToUInt64(secret[8..]),
                NeighborMode = NeighborMode.Kernel,
                AcceptPartialChecksum = device.Information.Driver.ToString() == "veth",
            },
            device.Frames);
        int result = KernelMirror.Open(stack, device.Information.Index, device.LargestMtu, out KernelMirror? mirror);
        if (result < 0 || mirror == null)
        {
            stack.Dispose();
            device.Dispose();
            return XdpOpenResult.ForFailure(interfaceName, result, "reading the kernel's routes");
        }

        stack.AttachDevice(device.Information.Index);
        shard = new Shard(stack, device, mirror);
        return opened;
    }

    /// <summary>Whether a destination is reached through this shard's device, and so can be ours.</summary>
    public bool Reaches(in IpAddress destination, out IpAddress source)
    {
        if (destination.IsLoopback || destination.IsMulticast || destination.IsBroadcast
            || Stack.Interfaces.IsLocal(destination))
        {
            source = default;
            return false;
        }

        return Stack.TrySelectSource(destination, out source, out int interfaceId) && interfaceId == _interfaceId;
    }

    /// <summary>
    /// One round: takes what has arrived, runs what is due. Answers are queued, not sent: the caller decides when to
    /// <see cref="Flush"/>, so that a round's answers and the program's go out together.
    /// </summary>
    /// <returns>Frames taken.</returns>
    public int Poll(Instant now)
    {
        // A driver may finish long after the kick; a frame that it still holds cannot be sent again.
        Device.ReapCompletions();
        int total = 0;
        int count;
        do
        {
            count = Device.Receive(_batch);
            if (count > 0)
            {
                Stack.Receive(_batch.AsSpan(0, count), _interfaceId, now);
                total += count;
            }
        }
        while (count == BatchSize && total < RoundLimit);

        if (Stack.NextDeadline <= now)
        {
            Stack.Poll(now);
        }

        Mirror.PassRequests();
        if (now >= _mirrorDue)
        {
            SyncMirror(now);
        }

        FramesReceived += total;
        return total;
    }

    /// <summary>Takes over changes of the kernel's tables now: the netlink socket was seen to be readable.</summary>
    public void SyncMirror(Instant now)
    {
        _mirrorDue = now + s_mirrorInterval;
        Mirror.Drain();

        // A neighbour that became known lets go what waited for it.
        Stack.Poll(now);
    }

    /// <summary>Sends everything that is queued, with as few system calls as the device needs.</summary>
    /// <returns>False when the device does not take it all; the rest stays queued.</returns>
    public bool Flush()
    {
        if (Mirror.IsDeviceGone)
        {
            DiscardOutgoing();
            return true;
        }

        bool all = true;
        bool queued = false;
        while (_outgoingCount > 0 || Stack.HasTransmit)
        {
            if (_outgoingCount == 0)
            {
                _outgoingFirst = 0;
                _outgoingCount = Stack.DequeueTransmit(_outgoing, _interfaceId);
                if (_outgoingCount == 0)
                {
                    break;
                }
            }

            int taken = Device.Transmit(_outgoing.AsSpan(_outgoingFirst, _outgoingCount));
            _outgoingFirst += taken;
            _outgoingCount -= taken;
            queued |= taken > 0;
            if (_outgoingCount > 0 && !KickAndReap())
            {
                all = false;
                queued = false;
                break;
            }
        }

        if (queued || (all && Device.PendingTransmit > 0))
        {
            all &= KickAndReap();
        }

        return all;
    }

    /// <summary>
    /// Writes the descriptors that this shard holds open: those of the device (program, maps, link, sockets, and the set of
    /// several sockets), and the mirror's netlink socket. The program around it must not close them; a forked child must.
    /// </summary>
    /// <param name="descriptors">Where to write; <see cref="DescriptorLimit"/> elements always suffice.</param>
    /// <returns>How many were written.</returns>
    public int GetDescriptors(Span<int> descriptors)
    {
        int count = Device.GetDescriptors(descriptors);
        if (count < descriptors.Length)
        {
            descriptors[count++] = Mirror.FileDescriptor;
        }

        return count;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Mirror.Dispose();
        Device.Dispose();
        Stack.Dispose();
    }

    // Kept, they would have the program wake every millisecond to try again, until the last connection has timed out.
    private void DiscardOutgoing()
    {
        do
        {
            for (; _outgoingCount > 0; _outgoingCount--)
            {
                Device.Frames.Release(_outgoing[_outgoingFirst++].Frame);
                FramesDiscarded++;
            }

            _outgoingFirst = 0;
            _outgoingCount = Stack.DequeueTransmit(_outgoing, _interfaceId);
        }
        while (_outgoingCount > 0);
    }

    private bool KickAndReap()
    {
        Flushes++;
        int result = Device.Kick();
        Device.ReapCompletions();
        return result == 0;
    }
}
