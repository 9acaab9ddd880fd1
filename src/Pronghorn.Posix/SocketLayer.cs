// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.CompilerServices;
using Pronghorn.Memory;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;

namespace Pronghorn.Posix;

/// <summary>What one round of the poll loop found.</summary>
public struct PollRound
{
    /// <summary>The time of the round.</summary>
    public Instant Now;

    /// <summary>When the next round must be, although nothing arrives.</summary>
    public Instant NextDeadline;

    /// <summary>Frames received.</summary>
    public int Received;

    /// <summary>Sockets with something new.</summary>
    public int Events;

    /// <summary>Running count of such sockets over all rounds: whether somebody else's round found something.</summary>
    public uint Dispatched;

    /// <summary>After <see cref="SocketLayer.Finish"/>: connections that still have something to send.</summary>
    public int Unsent;
}

/// <summary>
/// Linux's socket semantics over a <see cref="NetworkStack"/>: descriptors, blocking, options, epoll and poll. Calls that
/// would block return <see cref="SocketResult.Wait"/>; the caller waits and asks again.
/// </summary>
/// <remarks>One caller at a time. After construction nothing is allocated on the managed heap.</remarks>
public sealed partial class SocketLayer : IDisposable
{
    private const int EventBatch = 64;

    private readonly IKernel _kernel;
    private readonly IStackDriver _driver;
    private readonly NetworkStack _stack;
    private readonly TcpEngine _tcp;
    private readonly Slab<SocketRecord> _sockets;
    private static readonly Duration s_flushPause = Duration.FromMicroseconds(50);
    private static readonly Duration s_retryFlush = Duration.FromMilliseconds(1);

    private readonly TcpEvent[] _events = new TcpEvent[EventBatch];

    // By descriptor: the number of a socket, or minus the number of an epoll set; 0 for neither.
    private readonly NativeArray<int> _descriptors;

    // By descriptor that refers to one: the next that refers to the same, in a ring.
    private readonly NativeArray<int> _copies;
    private Instant _now;
    private Instant _flushAgain;
    private uint _dispatched;
    private bool _finished;
    private Instant _polledAt;
    private int _placeholder = -1;

    // Grows with every call and timer that may change what the statistics say of a socket.
    private long _activity;

    /// <summary>Makes a layer without sockets.</summary>
    /// <param name="kernel">The kernel's side.</param>
    /// <param name="driver">The stack's side.</param>
    /// <param name="descriptors">Highest descriptor number and one more.</param>
    /// <param name="waitDescriptors">Descriptors that every sleeper waits on too: the device, the netlink socket.</param>
    /// <param name="internalData">Marks epoll events of the layer's own.</param>
    public SocketLayer(
        IKernel kernel, IStackDriver driver, int descriptors, ReadOnlySpan<int> waitDescriptors, ulong internalData)
    {
        ArgumentNullException.ThrowIfNull(kernel);
        ArgumentNullException.ThrowIfNull(driver);
        _kernel = kernel;
        _driver = driver;
        _stack = driver.Stack;
        _tcp = _stack.Tcp;
        _internalData = internalData;
        _waitDescriptors = waitDescriptors.ToArray();
        _descriptors = new NativeArray<int>(descriptors);
        _copies = new NativeArray<int>(descriptors);
        _sockets = new Slab<SocketRecord>(Math.Max(descriptors, 1));
        _interests = new Slab<Interest>(1 << 22);
        _sets = new Slab<EpollSet>(Math.Max(descriptors, 1));
        _ends = new Slab<OwnedEnd>(1 << 17);
        _portEnds = new NativeArray<int>(65536);
        _now = kernel.Now;
        _nextPort = (int)(_now.Nanoseconds / 1000 % (_lastLocalPort - _firstLocalPort));
    }

    /// <summary>The stack below.</summary>
    public NetworkStack Stack => _stack;

    /// <summary>Sockets in use.</summary>
    public int SocketCount => _sockets.Count;

    /// <summary>One round: takes what has arrived, runs timers, sends what is queued, and wakes who waits for it.</summary>
    public void Poll(ref PollRound round)
    {
        Instant now = _kernel.Now;
        _now = now;
        _polledAt = now;
        round.Now = now;
        _activity += _stack.NextDeadline <= now ? 1 : 0;
        round.Received = _driver.Poll(now);
        round.Events = _tcp.HasEvents ? DispatchEvents() : 0;
        _dispatched += (uint)round.Events;
        round.Dispatched = _dispatched;
        if (_driver.HasPending && now >= _flushAgain)
        {
            Flush();

            // A device that is down takes nothing: do not ask it in every turn of a spin.
            _flushAgain = _driver.HasPending ? now + s_flushPause : now;
        }

        round.NextDeadline = Instant.Earlier(_stack.NextDeadline, _driver.NextDeadline(_activity));
        if (_driver.HasPending)
        {
            // The device did not take everything: try again soon, whatever else happens.
            round.NextDeadline = Instant.Earlier(round.NextDeadline, now + s_retryFlush);
        }

        round.Unsent = _finished ? CountUnsent() : 0;
        if (_driver.TakeAddressChange())
        {
            FollowAddresses();
        }

        if (now >= _sweepDue)
        {
            Sweep(now);
        }

        if (round.NextDeadline > _sweepDue && (_lingering > 0 || _steerAgain))
        {
            round.NextDeadline = _sweepDue;
        }
    }

    /// <summary>Lets go of every socket as the end of a process does, and sends what that causes.</summary>
    public void Finish()
    {
        _now = _kernel.Now;
        for (int fd = 0; fd < _descriptors.Length; fd++)
        {
            if (_descriptors[fd] > 0)
            {
                Close(fd, final: true);
                _kernel.SetClass(fd, DescriptorClass.Kernel);
            }
        }

        Flush();
        _finished = true;
        _driver.Finish();
    }

    // What a program wrote before it ended is still on its way, as it would be in the kernel.
    private int CountUnsent()
    {
        int count = 0;
        for (int id = 1; id < _tcp.UpperBound; id++)
        {
            if (_tcp.IsActive(id) && _tcp.Get(id).State is TcpState.FinWait1 or TcpState.LastAck or TcpState.Closing)
            {
                count++;
            }
        }

        return count;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _descriptors.Dispose();
        _copies.Dispose();
        _sockets.Dispose();
        _interests.Dispose();
        _sets.Dispose();
        _ends.Dispose();
        _portEnds.Dispose();
    }

    // A look at the device by a call that found nothing: programs that never wait must see progress, too.
    private bool PollForProgress()
    {
        Instant now = _kernel.Now;
        if (now - _polledAt < Duration.FromMicroseconds(5))
        {
            return false;
        }

        PollRound round = default;
        Poll(ref round);
        return round.Received > 0;
    }

    private void Flush()
    {
        _unflushedSends = 0;
        _unflushedBytes = 0;
        _driver.Flush();
    }

    private int DispatchEvents()
    {
        int total = 0;
        int count;
        do
        {
            count = _tcp.DequeueEvents(_events);
            for (int i = 0; i < count; i++)
            {
                int socket = (int)_events[i].Tag;
                if (socket != 0)
                {
                    Notify(socket, _events[i].Edge);
                }
            }

            total += count;
        }
        while (count == EventBatch);

        if (total > 0 && _sleepers > 0)
        {
            WakeSleepers();
        }

        return total;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int FindSocket(int fd) => (uint)fd < (uint)_descriptors.Length ? _descriptors[fd] : 0;

    private Readiness ReadinessOf(in SocketRecord socket) => socket.Kind switch
    {
        SocketKind.Connection => _tcp.GetReadiness(socket.Id),
        SocketKind.Listener => _tcp.GetListenerReadiness(socket.Id),
        _ => Readiness.Out | Readiness.HangUp, // tcp_poll of a closed socket
    };

    private static uint Expand(Readiness readiness)
    {
        uint events = (uint)readiness;
        events |= (events & Polling.In) != 0 ? Polling.ReadNormal : 0;
        events |= (events & Polling.Out) != 0 ? Polling.WriteNormal : 0;
        return events;
    }
}
