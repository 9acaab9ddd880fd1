// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tap;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Steering;

/// <summary>
/// Holds the packets of connections that are being moved, in the order in which they came, and gives them back afterwards. They go
/// through the same program again, which by then knows where they belong: at the new owner, or here after all.
/// </summary>
/// <remarks>
/// One queue for all connections: frames of one that is still held come round again, which costs two copies. All methods may be
/// called by any thread.
/// </remarks>
public sealed class HeldPackets : IDisposable
{
    private const int HeaderLength = 14;
    private const int PollInput = 1;
    private const int StopPollMilliseconds = 100;

    // What the program writes into the Ethernet source of frames that it puts aside: the first byte, and one of the others.
    private const byte Local = 0x02;
    private const byte HeldMark = 0x50;

    // The first packet of a connection that is to be asked for, and those after it.
    private const byte SoughtMark = 0x51;
    private const byte WaitsMark = 0x52;

    // Strangers can begin searches; what they send may not take the room that moves need.
    private const int SearchesShare = 2;

    private readonly TapDevice _device;
    private readonly Lock _lock = new();
    private readonly Queue<byte[]> _frames = new();
    private readonly byte[] _buffer = new byte[TapDevice.LargestFrame];
    private readonly long _limit;
    private readonly Thread _reader;
    private long _bytes;
    private volatile bool _stopped;

    /// <summary>Starts to read.</summary>
    /// <param name="device">The device; this disposes of it.</param>
    /// <param name="limitBytes">
    /// Most bytes of frames that wait at once; beyond that the newest are dropped and counted. What belongs to connections that are asked
    /// for is dropped beyond half of it.
    /// </param>
    public HeldPackets(TapDevice device, long limitBytes)
    {
        ArgumentNullException.ThrowIfNull(device);
        _device = device;
        _limit = limitBytes;
        _reader = new Thread(ReadUntilStopped) { IsBackground = true, Name = "handoff-hold" };
        _reader.Start();
    }

    /// <summary>
    /// Is told of a connection that other nodes are to be asked for: the end that the peer knows, and the peer. It must not wait, nor give
    /// anything back.
    /// </summary>
    public Action<TcpEnd, TcpEnd>? WhenSought { get; set; }

    /// <summary>Bytes that wait now.</summary>
    public long Bytes
    {
        get
        {
            lock (_lock)
            {
                return _bytes;
            }
        }
    }

    /// <summary>Frames dropped because too many waited.</summary>
    public long Dropped { get; private set; }

    /// <summary>Gives everything that waits back to the programs.</summary>
    public void Replay()
    {
        lock (_lock)
        {
            // What the device still has came before what is given back now could come round again.
            Drain();
            for (int left = _frames.Count; left > 0; left--)
            {
                byte[] frame = _frames.Dequeue();
                _bytes -= frame.Length;
                _ = _device.Write(frame);
            }
        }
    }

    /// <summary>Has a frame come in by the interface that its source names.</summary>
    public void Inject(ReadOnlySpan<byte> frame)
    {
        lock (_lock)
        {
            _ = _device.Write(frame);
        }
    }

    /// <summary>Writes the Ethernet source that says by which interface a frame is to come in.</summary>
    internal static void WriteSource(Span<byte> frame, int interfaceIndex)
    {
        frame[6] = Local;
        frame[7] = HeldMark;
        MemoryMarshal.Write(frame[8..], interfaceIndex);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _stopped = true;
        _reader.Join();
        _device.Dispose();
    }

    private void ReadUntilStopped()
    {
        Span<PollDescriptor> wait = [new PollDescriptor { Descriptor = _device.FileDescriptor, Events = PollInput }];
        while (!_stopped)
        {
            if (Libc.Poll(wait, StopPollMilliseconds) > 0)
            {
                lock (_lock)
                {
                    Drain();
                }
            }
        }
    }

    private void Drain()
    {
        int length;
        while ((length = _device.Read(_buffer)) > 0)
        {
            // What has no mark is the kernel's own, as IPv6 has for every interface.
            if (length >= HeaderLength && _buffer[6] == Local && _buffer[7] is HeldMark or SoughtMark or WaitsMark)
            {
                Take(_buffer.AsSpan(0, length));
            }
        }
    }

    private void Take(Span<byte> frame)
    {
        byte mark = frame[7];
        if (mark == SoughtMark && SegmentEnds.TryRead(frame, out TcpEnd local, out TcpEnd remote))
        {
            WhenSought?.Invoke(local, remote);
        }

        if (_bytes + frame.Length > (mark == HeldMark ? _limit : _limit / SearchesShare))
        {
            Dropped++;
            return;
        }

        frame[7] = HeldMark;
        _frames.Enqueue(frame.ToArray());
        _bytes += frame.Length;
    }
}
