// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Memory;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;

namespace Pronghorn.Posix;

/// <content>epoll(7): interests of sets in our sockets. Kernel descriptors stay in the real set.</content>
public sealed partial class SocketLayer
{
    /// <summary>Bytes of struct epoll_event: packed on x86-64 only.</summary>
    public static readonly int EpollEventSize = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;

    // A program that sleeps more often than this keeps the device in its set: to add and remove it costs a system call each.
    private static readonly Duration s_keepDevice = Duration.FromMilliseconds(2);

    private readonly Slab<Interest> _interests;
    private readonly Slab<EpollSet> _sets;
    private readonly int[] _waitDescriptors;
    private readonly ulong _internalData;

    /// <summary>epoll_ctl(2) on a socket of ours.</summary>
    /// <param name="epoll">A descriptor of a set, which need not be ours yet.</param>
    /// <param name="operation">EPOLL_CTL_*.</param>
    /// <param name="fd">A descriptor of ours.</param>
    /// <param name="events">EPOLL*.</param>
    /// <param name="data">Comes back in events.</param>
    /// <returns>0; 1 when the descriptor is a member of the real set, too; or a negative error number.</returns>
    public int EpollControl(int epoll, int operation, int fd, uint events, ulong data)
    {
        int index = FindSocket(fd);
        int set = -FindSocket(epoll);
        if (index <= 0 || set < 0)
        {
            return -Error.Invalid;
        }

        if (set == 0)
        {
            if (operation != Polling.Add)
            {
                return -Error.NoEntry;
            }

            set = TakeOverSet(epoll);
            if (set == 0)
            {
                return -Error.NoMemory;
            }
        }

        ref SocketRecord socket = ref _sockets[index];
        int at = FindInterest(socket, set, fd);
        int result = operation switch
        {
            Polling.Add when at != 0 => -Error.Exists,
            Polling.Add => AddInterest(ref socket, index, set, fd, events, data),
            Polling.Modify when at == 0 => -Error.NoEntry,
            Polling.Modify when ((events | _interests[at].Events) & Polling.Exclusive) != 0 => -Error.Invalid,
            Polling.Modify => ModifyInterest(at, events, data),
            Polling.Delete when at == 0 => -Error.NoEntry,
            Polling.Delete => DeleteInterest(ref socket, at),
            _ => -Error.Invalid,
        };

        // A listener also gets connections over the kernel's path.
        if (result == 0 && socket.Kind == SocketKind.Listener)
        {
            _kernel.EpollControl(epoll, operation, fd, events, data);
            return 1;
        }

        return result;
    }

    /// <summary>One round, then the events of a set: epoll_wait(2) without waiting.</summary>
    /// <param name="epoll">A descriptor of a set of ours.</param>
    /// <param name="destination">Room for struct epoll_event, <see cref="EpollEventSize"/> bytes each.</param>
    /// <param name="round">What the round found.</param>
    /// <returns>How many events, or a negative error number.</returns>
    public int EpollCollect(int epoll, Span<byte> destination, ref PollRound round)
    {
        int set = -FindSocket(epoll);
        Poll(ref round);
        if (set <= 0)
        {
            return -Error.BadDescriptor;
        }

        ref EpollSet record = ref _sets[set];
        if (record.HasDevice && record.Blocked == 0 && !record.Nested && _now - record.AwakeSince > s_keepDevice)
        {
            RemoveDevice(ref record);
        }

        return record.ReadyHead == 0 ? 0 : Collect(ref record, destination);
    }

    /// <summary>A thread goes to sleep in the real set (1), or is back (-1).</summary>
    public void EpollBlock(int epoll, int change)
    {
        int index = -FindSocket(epoll);
        if (index > 0)
        {
            ref EpollSet set = ref _sets[index];
            set.Blocked += change;
            set.Signalled = false;
            set.AwakeSince = _now;
            if (change > 0)
            {
                AddDevice(ref set);
                _driver.BeforeSleep(_now, _activity);
            }
        }
    }

    /// <summary>Another set watches this one in the kernel: from now on what is ready here makes the real set readable.</summary>
    public void EpollNested(int epoll)
    {
        int index = -FindSocket(epoll);
        if (index > 0)
        {
            ref EpollSet set = ref _sets[index];
            set.Nested = true;
            AddDevice(ref set);
            if (set.ReadyHead != 0)
            {
                _kernel.SignalEvent(set.EventDescriptor);
            }
        }
    }

    private static bool Wants(in Interest interest, Readiness edge) =>
        !interest.Disabled && (Expand(edge) & (interest.Events | Polling.Always)) != 0;

    private int TakeOverSet(int epoll)
    {
        int index = (uint)epoll < (uint)_descriptors.Length ? _sets.Rent() : 0;
        if (index == 0)
        {
            return 0;
        }

        ref EpollSet set = ref _sets[index];
        set.Descriptor = epoll;
        set.References = 1;
        set.EventDescriptor = _kernel.CreateEvent();
        for (int i = 1; i < _waitDescriptors.Length; i++)
        {
            AddWaitDescriptor(epoll, _waitDescriptors[i]);
        }

        // Edge-triggered: it need not be read after a wake-up.
        _kernel.EpollControl(
            epoll, Polling.Add, set.EventDescriptor, Polling.In | Polling.EdgeTriggered, _internalData);

        // A thread may sleep in the set as the kernel's: it must come and look.
        _kernel.SignalEvent(set.EventDescriptor);
        Refer(epoll, -index);
        _kernel.SetClass(epoll, DescriptorClass.Epoll);
        return index;
    }

    /// <summary>
    /// Before a sleep. While the program polls, the device stays out of the set: each packet would wake a wait queue, on
    /// the sender's processor, that nobody sleeps on.
    /// </summary>
    private void AddDevice(ref EpollSet set)
    {
        if (!set.HasDevice)
        {
            set.HasDevice = true;
            AddWaitDescriptor(set.Descriptor, _waitDescriptors[0]);
        }
    }

    private void RemoveDevice(ref EpollSet set)
    {
        set.HasDevice = false;
        if (_waitDescriptors[0] >= 0)
        {
            _kernel.EpollControl(set.Descriptor, Polling.Delete, _waitDescriptors[0], 0, _internalData);
        }
    }

    // Exclusive: of several sleeping threads one is enough to take packets in.
    private void AddWaitDescriptor(int epoll, int fd)
    {
        if (fd >= 0 && _kernel.EpollControl(epoll, Polling.Add, fd, Polling.In | Polling.Exclusive, _internalData) < 0)
        {
            // The descriptor of a device with several queues is an epoll set itself; those cannot be exclusive.
            _kernel.EpollControl(epoll, Polling.Add, fd, Polling.In, _internalData);
        }
    }

    private int FindInterest(in SocketRecord socket, int set, int fd)
    {
        int at = socket.FirstInterest;
        while (at != 0 && (_interests[at].Set != set || _interests[at].Descriptor != fd))
        {
            at = _interests[at].SocketNext;
        }

        return at;
    }

    private int AddInterest(ref SocketRecord socket, int index, int set, int fd, uint events, ulong data)
    {
        int at = _interests.Rent();
        if (at == 0)
        {
            return -Error.NoMemory;
        }

        ref Interest interest = ref _interests[at];
        interest.Socket = index;
        interest.Set = set;
        interest.Descriptor = fd;
        interest.Events = events;
        interest.Data = data;
        interest.SocketNext = socket.FirstInterest;
        socket.FirstInterest = at;
        ref EpollSet record = ref _sets[set];
        interest.SetNext = record.FirstInterest;
        if (record.FirstInterest != 0)
        {
            _interests[record.FirstInterest].SetPrevious = at;
        }

        record.FirstInterest = at;
        if (Wants(interest, ReadinessOf(socket)))
        {
            MakeReady(at, ref interest);
        }

        return 0;
    }

    private int ModifyInterest(int at, uint events, ulong data)
    {
        ref Interest interest = ref _interests[at];
        interest.Events = events;
        interest.Data = data;
        interest.Disabled = false;
        if (!interest.OnReadyList && Wants(interest, ReadinessOf(_sockets[interest.Socket])))
        {
            MakeReady(at, ref interest);
        }

        return 0;
    }

    private int DeleteInterest(ref SocketRecord socket, int at)
    {
        ref int link = ref socket.FirstInterest;
        while (link != at)
        {
            link = ref _interests[link].SocketNext;
        }

        link = _interests[at].SocketNext;
        UnlinkFromSet(at);
        _interests.Return(at);
        return 0;
    }

    private void UnlinkFromSet(int at)
    {
        ref Interest interest = ref _interests[at];
        ref EpollSet set = ref _sets[interest.Set];
        if (interest.OnReadyList)
        {
            TakeFromReady(ref set, ref interest);
        }

        if (interest.SetPrevious != 0)
        {
            _interests[interest.SetPrevious].SetNext = interest.SetNext;
        }
        else
        {
            set.FirstInterest = interest.SetNext;
        }

        if (interest.SetNext != 0)
        {
            _interests[interest.SetNext].SetPrevious = interest.SetPrevious;
        }
    }

    private void RemoveInterests(ref SocketRecord socket)
    {
        while (socket.FirstInterest != 0)
        {
            DeleteInterest(ref socket, socket.FirstInterest);
        }
    }

    private void CloseSet(int fd, int index)
    {
        int other = Unrefer(fd);
        ref EpollSet set = ref _sets[index];
        if (--set.References > 0)
        {
            if (set.Descriptor == fd)
            {
                set.Descriptor = other;
            }

            return;
        }

        while (set.FirstInterest != 0)
        {
            int at = set.FirstInterest;
            DeleteInterest(ref _sockets[_interests[at].Socket], at);
        }

        if (set.EventDescriptor >= 0)
        {
            _kernel.Close(set.EventDescriptor);
        }

        _sets.Return(index);
    }

    private void Notify(int index, Readiness edge)
    {
        for (int at = _sockets[index].FirstInterest; at != 0;)
        {
            ref Interest interest = ref _interests[at];
            if (!interest.OnReadyList && Wants(interest, edge))
            {
                MakeReady(at, ref interest);
            }

            at = interest.SocketNext;
        }
    }

    private void MakeReady(int at, ref Interest interest)
    {
        ref EpollSet set = ref _sets[interest.Set];
        interest.OnReadyList = true;
        interest.ReadyNext = 0;
        interest.ReadyPrevious = set.ReadyTail;
        if (set.ReadyTail != 0)
        {
            _interests[set.ReadyTail].ReadyNext = at;
        }
        else
        {
            set.ReadyHead = at;
        }

        set.ReadyTail = at;
        if ((set.Blocked > 0 || set.Nested) && !set.Signalled)
        {
            set.Signalled = set.Blocked > 0;
            _kernel.SignalEvent(set.EventDescriptor);
        }
    }

    private void TakeFromReady(ref EpollSet set, ref Interest interest)
    {
        interest.OnReadyList = false;
        if (interest.ReadyPrevious != 0)
        {
            _interests[interest.ReadyPrevious].ReadyNext = interest.ReadyNext;
        }
        else
        {
            set.ReadyHead = interest.ReadyNext;
        }

        if (interest.ReadyNext != 0)
        {
            _interests[interest.ReadyNext].ReadyPrevious = interest.ReadyPrevious;
        }
        else
        {
            set.ReadyTail = interest.ReadyPrevious;
        }
    }

    private int Collect(ref EpollSet set, Span<byte> destination)
    {
        int size = EpollEventSize;
        int room = destination.Length / size;
        int count = 0;
        int last = set.ReadyTail;
        for (int at = set.ReadyHead; at != 0 && count < room;)
        {
            ref Interest interest = ref _interests[at];
            int next = at == last ? 0 : interest.ReadyNext;
            TakeFromReady(ref set, ref interest);
            uint events = Expand(ReadinessOf(_sockets[interest.Socket])) & (interest.Events | Polling.Always);
            if (events != 0)
            {
                Span<byte> target = destination.Slice(count * size, size);
                MemoryMarshal.Write(target, events);
                MemoryMarshal.Write(target[(size - sizeof(ulong))..], interest.Data);
                count++;
                KeepIfLevelTriggered(ref set, at, ref interest);
            }

            at = next;
        }

        if ((set.Nested || set.Blocked > 0) && set.ReadyHead != 0)
        {
            // What did not fit is for the next sleeper.
            _kernel.SignalEvent(set.EventDescriptor);
        }

        return count;
    }

    // What was just reported goes to the end of the list, so that a short room starves nobody.
    private void KeepIfLevelTriggered(ref EpollSet set, int at, ref Interest interest)
    {
        if ((interest.Events & Polling.OneShot) != 0)
        {
            interest.Disabled = true;
        }
        else if ((interest.Events & Polling.EdgeTriggered) == 0)
        {
            interest.OnReadyList = true;
            interest.ReadyNext = 0;
            interest.ReadyPrevious = set.ReadyTail;
            if (set.ReadyTail != 0)
            {
                _interests[set.ReadyTail].ReadyNext = at;
            }
            else
            {
                set.ReadyHead = at;
            }

            set.ReadyTail = at;
        }
    }
}
