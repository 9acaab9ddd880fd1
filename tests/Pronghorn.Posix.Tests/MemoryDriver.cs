// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using Pronghorn.Memory;
using Pronghorn.Stack;
using Pronghorn.Stack.Ip;
using Pronghorn.Stack.Link;
using Pronghorn.Wire;

namespace Pronghorn.Posix.Tests;

/// <summary>A stack whose device is one end of a cable in memory.</summary>
internal sealed class MemoryDriver : IStackDriver, IDisposable
{
    private const int FrameSize = 2048;
    private const int ReceiveOffset = 256;
    private static readonly Duration s_delay = Duration.FromMicroseconds(50);
    private static readonly MacAddress s_mac = new(0x0200_0000_0001UL);

    private readonly Clock _clock;
    private readonly FramePool _frames = FramePool.Create(FrameSize, 4096);
    private readonly FrameDescriptor[] _batch = new FrameDescriptor[64];
    private readonly Queue<(byte[] Bytes, int Length, Instant Time)> _arriving = new(4096);
    private readonly Stack<byte[]> _spare = new();

    public MemoryDriver(Clock clock, IpAddress address, ulong secret)
    {
        _clock = clock;
        Stack = new NetworkStack(new StackOptions { Secret0 = secret, MaximumConnections = 4096 }, _frames);
        Stack.Interfaces.Update(new NetworkInterface { Id = InterfaceId, Mac = s_mac, Mtu = 1500, Up = true });
        Stack.Routes.Add(new Route
        {
            Destination = IpAddress.FromIpv4(0x0a000000), PrefixLength = 24, InterfaceId = InterfaceId,
            PreferredSource = address, Gateway = IpAddress.AnyIpv4,
        });
        Stack.AttachDevice(InterfaceId);
        AddAddress(address);
    }

    public NetworkStack Stack { get; }

    public bool HasPending => Stack.HasTransmit;

    public int InterfaceId => 1;

    public MemoryDriver? Other { get; set; }

    /// <summary>Nothing that is sent arrives.</summary>
    public bool IsCut { get; set; }

    /// <summary>The device takes nothing.</summary>
    public bool IsDown { get; set; }

    /// <summary>Every so many frames one is lost; 0 for none.</summary>
    public int LoseEvery { get; set; }

    public long Sent { get; private set; }

    public int Flushes { get; private set; }

    public bool AddressesChanged { get; set; }

    public int OwnResult { get; set; }

    /// <summary>What is steered to the stack, and how.</summary>
    public Dictionary<(IpAddress Address, ushort Port), EndSteering> Owned { get; } = [];

    public int Sleeps { get; private set; }

    /// <summary>What the layer said when the program last went to sleep.</summary>
    public long Activity { get; private set; }

    public bool IsFinished { get; private set; }

    public Instant NextArrival => _arriving.TryPeek(out (byte[] Bytes, int Length, Instant Time) first) ? first.Time : Instant.Never;

    public void AddAddress(IpAddress address)
    {
        Stack.Interfaces.AddAddress(InterfaceId, address, 24);
        AddressesChanged = true;
    }

    public void RemoveAddress(IpAddress address)
    {
        Stack.Interfaces.RemoveAddress(InterfaceId, address);
        AddressesChanged = true;
    }

    public bool TakeAddressChange()
    {
        bool changed = AddressesChanged;
        AddressesChanged = false;
        return changed;
    }

    public int Poll(Instant now)
    {
        int count = 0;
        while (NextArrival <= now)
        {
            (byte[] bytes, int length, _) = _arriving.Dequeue();
            if (_frames.TryRent(out int frame))
            {
                bytes.AsSpan(0, length).CopyTo(_frames.GetSpan(frame)[ReceiveOffset..]);
                var packet = new FrameDescriptor(frame, ReceiveOffset, (ushort)length);
                Stack.Receive(new ReadOnlySpan<FrameDescriptor>(in packet), InterfaceId, now);
                count++;
            }

            _spare.Push(bytes);
        }

        if (Stack.NextDeadline <= now)
        {
            Stack.Poll(now);
        }

        return count;
    }

    public void BeforeSleep(Instant now, long activity)
    {
        Sleeps++;
        Activity = activity;
    }

    public void Finish() => IsFinished = true;

    public void Flush()
    {
        Flushes++;
        int count;
        while (!IsDown && (count = Stack.DequeueTransmit(_batch, InterfaceId)) > 0)
        {
            for (int i = 0; i < count; i++)
            {
                Sent++;
                if (Other is not null && !IsCut && (LoseEvery == 0 || Sent % LoseEvery != 0))
                {
                    Other.Arrive(_frames.GetSpan(_batch[i]), _clock.Now + s_delay);
                }

                _frames.Release(_batch[i].Frame);
            }
        }
    }

    public bool Reaches(in IpAddress destination, out IpAddress source)
    {
        source = default;
        return !destination.IsLoopback && !Stack.Interfaces.IsLocal(destination)
            && Stack.TrySelectSource(destination, out source, out int interfaceId) && interfaceId == InterfaceId;
    }

    public int AddOwned(in IpAddress address, ushort port, EndSteering steering)
    {
        if (OwnResult == 0)
        {
            Owned[(address, port)] = steering;
        }

        return OwnResult;
    }

    public void RemoveOwned(in IpAddress address, ushort port) => Owned.Remove((address, port));

    public void Join(MemoryDriver other, IpAddress address)
    {
        Other = other;
        Stack.Neighbors.Set(InterfaceId, address, s_mac);
    }

    public void Dispose()
    {
        Stack.Dispose();
        _frames.Dispose();
    }

    private void Arrive(ReadOnlySpan<byte> bytes, Instant time)
    {
        byte[] copy = _spare.TryPop(out byte[]? spare) ? spare : new byte[FrameSize];
        bytes.CopyTo(copy);
        _arriving.Enqueue((copy, bytes.Length, time));
    }
}
