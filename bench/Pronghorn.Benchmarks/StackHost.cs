// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Memory;
using Pronghorn.Stack;
using Pronghorn.Stack.Ip;
using Pronghorn.Stack.Link;
using Pronghorn.Wire;

namespace Pronghorn.Benchmarks;

/// <summary>A stack with one interface, and a wire to another one that copies frames as AF_XDP's copy mode does.</summary>
internal sealed class StackHost : IDisposable
{
    private const int InterfaceId = 1;
    private const int FrameSize = 2048;
    private const int FrameCount = 16384;
    private const int Batch = 256;

    private readonly FrameDescriptor[] _outgoing = new FrameDescriptor[Batch];
    private readonly FrameDescriptor[] _incoming = new FrameDescriptor[Batch];

    internal StackHost(string address, string mac, string peerAddress, string peerMac)
    {
        Address = IpAddress.Parse(address);
        Frames = FramePool.Create(FrameSize, FrameCount);
        Stack = new NetworkStack(new StackOptions { MaximumConnections = 4096 }, Frames);
        Stack.Interfaces.Update(new NetworkInterface { Id = InterfaceId, Mac = MacAddress.Parse(mac), Mtu = 1500, Up = true });
        Stack.Interfaces.AddAddress(InterfaceId, Address, 24);
        Stack.Routes.Add(new Route
        {
            Destination = IpAddress.Parse("10.0.0.0"),
            PrefixLength = 24,
            InterfaceId = InterfaceId,
            PreferredSource = Address,
        });
        Stack.Neighbors.Set(InterfaceId, IpAddress.Parse(peerAddress), MacAddress.Parse(peerMac));
        Stack.AttachDevice(InterfaceId);
    }

    internal IpAddress Address { get; }

    internal FramePool Frames { get; }

    internal NetworkStack Stack { get; }

    /// <summary>Moves what this host has to send into the other one. Returns the number of frames.</summary>
    internal int TransmitTo(StackHost other, Instant now)
    {
        int total = 0;
        while (true)
        {
            int count = Stack.DequeueTransmit(_outgoing, InterfaceId);
            if (count == 0)
            {
                return total;
            }

            for (int i = 0; i < count; i++)
            {
                ref readonly FrameDescriptor sent = ref _outgoing[i];
                if (!other.Frames.TryRent(out int frame))
                {
                    throw new InvalidOperationException("the other host has no frame left");
                }

                Frames.GetSpan(sent).CopyTo(other.Frames.GetSpan(frame)[256..]);
                other._incoming[i] = new FrameDescriptor(frame, 256, sent.Length);
                Frames.Release(sent.Frame);
            }

            other.Stack.Receive(other._incoming.AsSpan(0, count), InterfaceId, now);
            total += count;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Stack.Dispose();
        Frames.Dispose();
    }
}
