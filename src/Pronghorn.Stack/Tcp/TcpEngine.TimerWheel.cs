// SPDX-License-Identifier: Apache-2.0
using System;
using System.Numerics;
using Pronghorn.Memory;

namespace Pronghorn.Stack.Tcp;

/// <content>
/// A hierarchical timing wheel of connections: three levels of 256 slots, one millisecond in the lowest. A connection is
/// in one slot at most, and a timer that moves to a later time leaves it there: when the slot comes up the connection is
/// put where it then belongs. So to restart a retransmission timer on every segment costs a store.
/// </content>
public sealed partial class TcpEngine
{
    private const int WheelBits = 8;
    private const int WheelSlots = 1 << WheelBits;
    private const int WheelLevels = 3;
    private const int WheelMask = WheelSlots - 1;
    private const long TickNanoseconds = 1_000_000;
    private const int NoSlot = -1;

    private readonly NativeArray<int> _slots;
    private readonly ulong[] _occupied = new ulong[WheelLevels * (WheelSlots / 64)];
    private long _currentTick = -1;

    /// <summary>When <see cref="RunTimers"/> has work next; may be earlier than any timer, never later.</summary>
    internal Instant NextTimer { get; private set; } = Instant.Never;

    private static void InitializeTimers(ref TransmissionControlBlock tcb)
    {
        tcb.RetransmitAt = Instant.Never;
        tcb.ReorderAt = Instant.Never;
        tcb.DelayedAckAt = Instant.Never;
        tcb.LifeAt = Instant.Never;
        tcb.CorkAt = Instant.Never;
        tcb.StalledSince = Instant.Never;
        tcb.TimerSlot = NoSlot;
    }

    private static Instant EarliestTimer(in TransmissionControlBlock tcb)
    {
        Instant earliest = Instant.Earlier(tcb.RetransmitAt, tcb.DelayedAckAt);
        earliest = Instant.Earlier(earliest, tcb.LifeAt);
        earliest = Instant.Earlier(earliest, tcb.ReorderAt);
        return Instant.Earlier(earliest, tcb.CorkAt);
    }

    private static long TickOf(Instant at) => (at.Nanoseconds + TickNanoseconds - 1) / TickNanoseconds;

    /// <summary>Makes sure that the wheel looks at the connection no later than a time.</summary>
    internal void Schedule(int id, ref TransmissionControlBlock tcb, Instant at)
    {
        if (!at.IsSet)
        {
            return;
        }

        long tick = Math.Max(TickOf(at), _currentTick + 1);
        if (tcb.TimerSlot != NoSlot)
        {
            if (tcb.TimerTick <= tick)
            {
                return;
            }

            Unlink(id, ref tcb);
        }

        Link(id, ref tcb, tick);
    }

    private void ClearTimers(int id, ref TransmissionControlBlock tcb)
    {
        if (tcb.TimerSlot != NoSlot)
        {
            Unlink(id, ref tcb);
        }

        InitializeTimers(ref tcb);
    }

    private void Link(int id, ref TransmissionControlBlock tcb, long tick)
    {
        long delta = tick - _currentTick;
        int level = delta < WheelSlots ? 0 : delta < 1L << (2 * WheelBits) ? 1 : 2;

        // Beyond the wheel's reach (4.6 hours) the furthest slot serves: the timer is put back from there.
        long reach = (1L << (WheelLevels * WheelBits)) - 1;
        long placed = delta > reach ? _currentTick + reach : tick;
        int slot = (level << WheelBits) | (int)((placed >> (level * WheelBits)) & WheelMask);
        int first = _slots[slot];
        tcb.TimerSlot = slot;
        tcb.TimerTick = tick;
        tcb.TimerPrevious = 0;
        tcb.TimerNext = first;
        if (first != 0)
        {
            _connections[first].TimerPrevious = id;
        }

        _slots[slot] = id;
        _occupied[slot >> 6] |= 1UL << (slot & 63);
        long looked = (placed >> (level * WheelBits)) << (level * WheelBits);
        NextTimer = Instant.Earlier(NextTimer, new Instant(looked * TickNanoseconds));
    }

    private void Unlink(int id, ref TransmissionControlBlock tcb)
    {
        if (tcb.TimerPrevious != 0)
        {
            _connections[tcb.TimerPrevious].TimerNext = tcb.TimerNext;
        }
        else
        {
            _slots[tcb.TimerSlot] = tcb.TimerNext;
            if (tcb.TimerNext == 0)
            {
                _occupied[tcb.TimerSlot >> 6] &= ~(1UL << (tcb.TimerSlot & 63));
            }
        }

        if (tcb.TimerNext != 0)
        {
            _connections[tcb.TimerNext].TimerPrevious = tcb.TimerPrevious;
        }

        tcb.TimerSlot = NoSlot;
    }

    private long NextOccupiedTick()
    {
        long best = long.MaxValue;
        for (int level = 0; level < WheelLevels; level++)
        {
            int shift = level * WheelBits;
            long position = _currentTick >> shift;
            int distance = DistanceToOccupied(level, (int)((position + 1) & WheelMask));
            if (distance >= 0)
            {
                best = Math.Min(best, (position + 1 + distance) << shift);
            }
        }

        return best;
    }

    /// <summary>Slots from a first one to the next that is occupied, going round; -1 when the level is empty.</summary>
    private int DistanceToOccupied(int level, int start)
    {
        int words = WheelSlots / 64;
        for (int i = 0; i <= words; i++)
        {
            int word = ((start >> 6) + i) % words;
            ulong bits = _occupied[(level * words) + word];
            if (i == 0)
            {
                bits &= ulong.MaxValue << (start & 63);
            }
            else if (i == words)
            {
                bits &= (1UL << (start & 63)) - 1;
            }

            if (bits != 0)
            {
                int slot = (word << 6) | BitOperations.TrailingZeroCount(bits);
                return (slot - start) & WheelMask;
            }
        }

        return -1;
    }

    /// <summary>Runs what is due, and looks up when something is due next.</summary>
    private void RunTimers(Instant now)
    {
        AdvanceWheel(now);
        long tick = NextOccupiedTick();
        NextTimer = tick == long.MaxValue ? Instant.Never : new Instant(tick * TickNanoseconds);
    }

    /// <summary>Expires the slots up to the present. The wheel jumps over empty ticks.</summary>
    private void AdvanceWheel(Instant now)
    {
        long target = now.Nanoseconds / TickNanoseconds;
        while (_currentTick < target)
        {
            long next = NextOccupiedTick();
            if (next > target)
            {
                _currentTick = target;
                return;
            }

            _currentTick = next;
            for (int level = WheelLevels - 1; level >= 0; level--)
            {
                if ((_currentTick & ((1L << (level * WheelBits)) - 1)) == 0)
                {
                    ExpireSlot((level << WheelBits) | (int)((_currentTick >> (level * WheelBits)) & WheelMask), now);
                }
            }
        }
    }

    private void ExpireSlot(int slot, Instant now)
    {
        // One at a time from the front: expiry may end other connections of the slot. Nothing is linked into this slot
        // meanwhile, since Schedule places only into later ticks, which at the same level are other slots.
        while (_slots[slot] != 0)
        {
            int id = _slots[slot];
            ref TransmissionControlBlock tcb = ref _connections[id];
            Unlink(id, ref tcb);
            if (EarliestTimer(tcb) <= now)
            {
                ExpireConnection(id, ref tcb);
            }

            if (_connections.IsRented(id) && tcb.State != TcpState.Closed)
            {
                Schedule(id, ref tcb, EarliestTimer(tcb));
            }
        }
    }
}
