// SPDX-License-Identifier: Apache-2.0
using System;
using System.Numerics;
using Pronghorn.Memory;
using Pronghorn.Wire;

namespace Pronghorn.Stack;

/// <summary>Frames that wait for a device, first in first out.</summary>
internal sealed class TransmitQueue
{
    private readonly FrameDescriptor[] _ring;
    private readonly int _mask;
    private int _head;

    public TransmitQueue(int interfaceId, int capacity)
    {
        InterfaceId = interfaceId;
        _ring = new FrameDescriptor[BitOperations.RoundUpToPowerOf2((uint)capacity)];
        _mask = _ring.Length - 1;
    }

    public int InterfaceId { get; }

    public int Count { get; private set; }

    public bool HasRoom => Count < _ring.Length;

    /// <summary>The interface's link address, good for <see cref="MacGeneration"/>.</summary>
    public MacAddress Mac { get; set; }

    public int MacGeneration { get; set; } = -1;

    public bool TryEnqueue(in FrameDescriptor packet)
    {
        if (!HasRoom)
        {
            return false;
        }

        _ring[(_head + Count) & _mask] = packet;
        Count++;
        return true;
    }

    public int Dequeue(Span<FrameDescriptor> destination)
    {
        int count = Math.Min(Count, destination.Length);
        for (int i = 0; i < count; i++)
        {
            destination[i] = _ring[(_head + i) & _mask];
        }

        _head = (_head + count) & _mask;
        Count -= count;
        return count;
    }
}
