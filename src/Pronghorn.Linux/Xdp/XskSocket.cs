// SPDX-License-Identifier: Apache-2.0
using System;
using System.Numerics;
using Pronghorn.Linux.Interop;
using Pronghorn.Memory;

namespace Pronghorn.Linux.Xdp;

/// <summary>
/// An AF_XDP socket: four rings shared with the kernel over a pool of frames. It receives what the steering program
/// redirects on one queue of a device, and transmits.
/// </summary>
/// <remarks>
/// One thread at a time. After <see cref="Open"/> no member allocates managed memory. What the kernel writes into the
/// rings is checked before it is used.
/// </remarks>
public sealed unsafe partial class XskSocket : IDisposable
{
    private readonly FramePool _pool;
    private readonly int _frameShift;
    private readonly ulong _umemLength;
    private XskRing<ulong> _fill;
    private XskRing<ulong> _completion;
    private XskRing<XdpDescriptor> _receive;
    private XskRing<XdpDescriptor> _transmit;
    private XskStatistics _statistics;
    private bool _isStarved;

    // Frames go round the fill ring in turn: more than needed touch more memory for each packet than a cache holds.
    private uint _postedGoal;
    private uint _calmLooks;
    private uint _held;

    private XskSocket(int fd, FramePool pool)
    {
        FileDescriptor = fd;
        _pool = pool;
        _frameShift = BitOperations.Log2((uint)pool.FrameSize);
        _umemLength = (ulong)pool.FrameSize * (ulong)pool.FrameCount;
    }

    // Of the fill ring, what is posted before a burst has shown that more is needed.
    private const uint CalmShare = 4;

    // A look is a batch of packets, so this is some hundreds of thousands of them.
    private const uint LooksBeforeFewer = 16384;

    /// <summary>The socket, readable when packets wait; -1 once disposed.</summary>
    public int FileDescriptor { get; private set; }

    /// <summary>Whether the device reads and writes the frames itself.</summary>
    public bool IsZeroCopy { get; private set; }

    /// <summary>Whether the kernel showed an impossible ring index. The socket moves nothing any more then.</summary>
    public bool IsCorrupt => _fill.IsCorrupt || _completion.IsCorrupt || _receive.IsCorrupt || _transmit.IsCorrupt;

    /// <summary>What this side has counted.</summary>
    public ref readonly XskStatistics Statistics => ref _statistics;

    /// <summary>Packets in the transmit ring that the kernel has not taken.</summary>
    public int PendingTransmit => (int)_transmit.Outstanding();

    /// <summary>
    /// Gives frames of the pool to the kernel to receive into, until as many are posted as bursts lately needed: from
    /// a quarter of the fill ring up to all of it, doubled when more than half were taken between two looks and
    /// halved after a long calm. Frames posted and frames received but not taken together are never more than that size.
    /// </summary>
    /// <returns>False when the pool ran out first.</returns>
    public bool Refill()
    {
        uint posted = _fill.Size - _fill.Free(_fill.Size);
        AdaptPosted(posted);
        uint limit = Math.Min(_postedGoal, posted + _fill.Size - Math.Min(_held, _fill.Size));
        uint free = limit > posted ? limit - posted : 0;
        uint count = 0;
        while (count < free && _pool.TryRent(out int frame))
        {
            _fill.Next(count++) = (ulong)frame << _frameShift;
        }

        _held += count;
        if (count != 0)
        {
            _fill.Submit(count);
            if (IsZeroCopy)
            {
                WakeReceive();
            }
        }

        bool starved = count < free;
        if (starved && !_isStarved)
        {
            _statistics.FillStarved++;
        }

        _isStarved = starved;
        return !starved;
    }

    /// <summary>Takes received packets; the caller then holds one reference to each frame.</summary>
    /// <returns>How many, 0 to the length of <paramref name="packets"/>.</returns>
    public int Receive(Span<FrameDescriptor> packets)
    {
        uint available = _receive.Available((uint)packets.Length);
        if (available == 0)
        {
            // After a shortage nothing may come in any more that would bring us to refill.
            if (_isStarved)
            {
                _ = Refill();
            }

            return 0;
        }

        int taken = 0;
        for (uint i = 0; i < available; i++)
        {
            XdpDescriptor descriptor = _receive.Peek(i);
            if (TryLocate(descriptor, out FrameDescriptor packet))
            {
                packets[taken++] = packet;
            }
            else
            {
                _statistics.InvalidDescriptors++;
            }
        }

        _receive.Consume(available);
        _held -= Math.Min(_held, available);
        _statistics.Received += taken;
        _ = Refill();
        return taken;
    }

    /// <summary>
    /// Puts packets into the transmit ring. The socket takes over one reference to the frame of each packet taken,
    /// and gives it back through <see cref="ReapCompletions"/>. Nothing is sent before <see cref="Kick"/>.
    /// </summary>
    /// <returns>How many were taken, in order.</returns>
    public int Transmit(ReadOnlySpan<FrameDescriptor> packets)
    {
        uint free = _transmit.Free((uint)packets.Length);
        int count = (int)Math.Min(free, (uint)packets.Length);
        for (int i = 0; i < count; i++)
        {
            ref readonly FrameDescriptor packet = ref packets[i];
            _transmit.Next((uint)i) = new XdpDescriptor
            {
                Address = ((ulong)packet.Frame << _frameShift) + packet.Offset,
                Length = packet.Length,
            };
        }

        if (count != 0)
        {
            _transmit.Submit((uint)count);
            _statistics.Transmitted += count;
        }

        _statistics.TransmitRingFull += packets.Length - count;
        return count;
    }

    /// <summary>Takes back the frames of packets that were sent. The caller then holds one reference to each.</summary>
    /// <returns>How many, 0 to the length of <paramref name="frames"/>.</returns>
    public int ReapCompletions(Span<int> frames)
    {
        uint available = _completion.Available((uint)frames.Length);
        if (available == 0)
        {
            return 0;
        }

        int taken = 0;
        for (uint i = 0; i < available; i++)
        {
            ulong address = _completion.Peek(i);
            int frame = (int)(address >> _frameShift);
            if (address < _umemLength && _pool.ReferenceCount(frame) != 0)
            {
                frames[taken++] = frame;
            }
            else
            {
                _statistics.InvalidDescriptors++;
            }
        }

        _completion.Consume(available);
        _statistics.Completed += taken;
        return taken;
    }

    /// <summary>
    /// Has the kernel send what is in the transmit ring, in as few system calls as it needs: one with a driver that
    /// polls or on Linux 6.17 and later, one for every 32 packets before.
    /// </summary>
    /// <returns>
    /// 0 when the kernel has taken everything; -EAGAIN when it takes no more now (kick again later); or the negative
    /// error number, as -ENETDOWN. Packets that were not taken stay in the ring.
    /// </returns>
    public int Kick()
    {
        uint outstanding = _transmit.Outstanding();
        while (outstanding != 0 && !_transmit.IsCorrupt)
        {
            if (!_transmit.NeedsWakeup)
            {
                return 0;
            }

            _statistics.Kicks++;
            int result = (int)Libc.Send(FileDescriptor, default, Constants.MessageDontWait);
            if (result < 0 && !CountKickError(result))
            {
                return result;
            }

            uint left = _transmit.Outstanding();
            if (IsZeroCopy && result >= 0)
            {
                // The driver takes the packets when its poll routine runs.
                return 0;
            }

            if (left == outstanding)
            {
                return left == 0 ? 0 : -Errno.TryAgain;
            }

            outstanding = left;
        }

        return 0;
    }

    /// <summary>Reads the kernel's own counters. Returns 0 or the negative error number.</summary>
    public int GetKernelStatistics(out XskKernelStatistics statistics) =>
        Libc.GetSocketOption(FileDescriptor, XdpLevel, OptionStatistics, out statistics, out _);

    /// <summary>Closes the socket. The pool and its memory stay with their owner.</summary>
    public void Dispose()
    {
        _fill.Close();
        _completion.Close();
        _receive.Close();
        _transmit.Close();
        if (FileDescriptor >= 0)
        {
            _ = Libc.Close(FileDescriptor);
            FileDescriptor = -1;
        }
    }

    private void AdaptPosted(uint posted)
    {
        uint calm = _fill.Size / CalmShare;
        if (_postedGoal < calm)
        {
            _postedGoal = calm;
        }
        else if (posted < _postedGoal / 2 && !_isStarved)
        {
            _postedGoal = Math.Min(_postedGoal * 2, _fill.Size);
            _calmLooks = 0;
        }
        else if (++_calmLooks >= LooksBeforeFewer)
        {
            _postedGoal = Math.Max(_postedGoal / 2, calm);
            _calmLooks = 0;
        }
    }

    /// <summary>Wakes a driver that waits to be told that the fill ring has frames again (zero-copy only).</summary>
    private void WakeReceive()
    {
        if (_fill.NeedsWakeup)
        {
            _ = Libc.Receive(FileDescriptor, default, Constants.MessageDontWait);
        }
    }

    /// <summary>Counts a failed kick. Returns whether it is of the passing kind.</summary>
    private bool CountKickError(int result)
    {
        switch (-result)
        {
            case Errno.TryAgain:
                _statistics.KickAgain++;
                return true;
            case Errno.Busy:
                _statistics.KickBusy++;
                return true;
            case Errno.NoBuffers:
                _statistics.KickNoBuffers++;
                return true;
            default:
                _statistics.KickFailed++;
                return false;
        }
    }

    private bool TryLocate(in XdpDescriptor descriptor, out FrameDescriptor packet)
    {
        packet = default;
        if (descriptor.Address >= _umemLength)
        {
            return false;
        }

        int frame = (int)(descriptor.Address >> _frameShift);
        uint offset = (uint)descriptor.Address & ((uint)_pool.FrameSize - 1);
        if (descriptor.Length > (uint)_pool.FrameSize - offset || _pool.ReferenceCount(frame) == 0)
        {
            return false;
        }

        packet = new FrameDescriptor(frame, (ushort)offset, (ushort)descriptor.Length);
        return true;
    }
}
