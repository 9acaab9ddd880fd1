// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Memory;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <summary>Finds a connection by its four-tuple: open addressing with linear probing, at most half full.</summary>
internal sealed class FlowTable : IDisposable
{
    private readonly Slab<TransmissionControlBlock> _connections;
    private readonly NativeArray<int> _slots;
    private uint _mask;

    public FlowTable(Slab<TransmissionControlBlock> connections, int initialCapacity)
    {
        _connections = connections;
        _slots = new NativeArray<int>(initialCapacity);
        _mask = (uint)initialCapacity - 1;
    }

    public int Count { get; private set; }

    public int Find(in IpAddress local, ushort localPort, in IpAddress remote, ushort remotePort, uint hash)
    {
        for (uint i = hash & _mask; ; i = (i + 1) & _mask)
        {
            int id = _slots[(int)i];
            if (id == 0)
            {
                return 0;
            }

            ref TransmissionControlBlock tcb = ref _connections[id];
            if (tcb.Hash == hash && tcb.RemotePort == remotePort && tcb.LocalPort == localPort
                && tcb.Remote == remote && tcb.Local == local)
            {
                return id;
            }
        }
    }

    public bool Add(int id)
    {
        if ((Count + 1) * 2 > _slots.Length && !Grow(id))
        {
            return false;
        }

        Count++;
        Place(id);
        return true;
    }

    public void Remove(int id)
    {
        uint i = _connections[id].Hash & _mask;
        while (_slots[(int)i] != id)
        {
            if (_slots[(int)i] == 0)
            {
                return;
            }

            i = (i + 1) & _mask;
        }

        CloseGap(i);
        _connections[id].Hash = 0;
        Count--;
    }

    public void Dispose() => _slots.Dispose();

    private void Place(int id)
    {
        uint i = _connections[id].Hash & _mask;
        while (_slots[(int)i] != 0)
        {
            i = (i + 1) & _mask;
        }

        _slots[(int)i] = id;
    }

    // Moves later entries of the run back, so that no tombstones are needed.
    private void CloseGap(uint gap)
    {
        uint next = gap;
        while (true)
        {
            next = (next + 1) & _mask;
            int id = _slots[(int)next];
            if (id == 0)
            {
                _slots[(int)gap] = 0;
                return;
            }

            uint home = _connections[id].Hash & _mask;
            bool stays = ((next - home) & _mask) < ((next - gap) & _mask);
            if (!stays)
            {
                _slots[(int)gap] = id;
                gap = next;
            }
        }
    }

    private bool Grow(int newcomer)
    {
        int length = _slots.Length * 2;
        if (!_slots.Reset(length))
        {
            return false;
        }

        _mask = (uint)length - 1;
        for (int id = 1; id < _connections.UpperBound; id++)
        {
            // A record outside the table has no hash, except for the one that is about to enter.
            if (id != newcomer && _connections.IsRented(id) && _connections[id].Hash != 0)
            {
                Place(id);
            }
        }

        return true;
    }
}
