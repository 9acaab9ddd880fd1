// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using Pronghorn.Memory;
using Pronghorn.Stack;
using Pronghorn.Stack.Ip;
using Pronghorn.Stack.Link;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Simulation;

/// <summary>A host: a stack, its frames, and the programs that use it.</summary>
public sealed class SimulatedHost : IDisposable
{
    // Devices leave room before a received packet (XDP_PACKET_HEADROOM).
    private const int ReceiveOffset = 256;

    private readonly Fabric _fabric;
    private readonly List<LinkDirection> _links = [];
    private readonly FrameDescriptor[] _batch = new FrameDescriptor[64];
    private readonly TcpEvent[] _events = new TcpEvent[64];

    internal SimulatedHost(Fabric fabric, string name, StackOptions options, int frames)
    {
        _fabric = fabric;
        Name = name;
        Frames = FramePool.Create(2048, frames);
        Stack = new NetworkStack(options, Frames);
    }

    /// <summary>Its name in messages.</summary>
    public string Name { get; }

    /// <summary>Its stack.</summary>
    public NetworkStack Stack { get; }

    /// <summary>Its TCP.</summary>
    public TcpEngine Tcp => Stack.Tcp;

    /// <summary>Its frames.</summary>
    public FramePool Frames { get; }

    /// <summary>Frames that the devices hold because they are not sent yet.</summary>
    public int FramesInDevices { get; internal set; }

    /// <summary>Frames that arrived when no frame was free.</summary>
    public long FramesRefused { get; private set; }

    /// <summary>Gets every event of the host's sockets.</summary>
    public Action<TcpEvent>? OnEvent { get; set; }

    /// <summary>The address on the host's first link.</summary>
    public IpAddress Address { get; private set; }

    /// <inheritdoc/>
    public void Dispose()
    {
        Stack.Dispose();
        Frames.Dispose();
    }

    /// <summary>The number that the host's next interface will have.</summary>
    internal int NextInterface => _links.Count + 1;

    internal void Attach(LinkDirection outgoing, IpAddress address, IpAddress subnet, int mtu)
    {
        _links.Add(outgoing);
        int id = _links.Count;
        if (id == 1)
        {
            Address = address;
        }

        Stack.Interfaces.Update(new NetworkInterface
        {
            Id = id, Mac = new MacAddress(0x0200_0000_0000UL | address.ToIpv4()), Mtu = mtu, Up = true,
        });
        Stack.Interfaces.AddAddress(id, address, 24);
        Stack.Routes.Add(new Route
        {
            Destination = subnet, PrefixLength = 24, InterfaceId = id, PreferredSource = address, Gateway = IpAddress.AnyIpv4,
        });
        Stack.AttachDevice(id);
    }

    /// <summary>A frame arrives.</summary>
    internal void Arrive(ReadOnlySpan<byte> bytes, int interfaceId)
    {
        if (!Frames.TryRent(out int frame))
        {
            FramesRefused++;
            return;
        }

        bytes.CopyTo(Frames.GetSpan(frame)[ReceiveOffset..]);
        var packet = new FrameDescriptor(frame, ReceiveOffset, (ushort)bytes.Length);
        Stack.Receive(new ReadOnlySpan<FrameDescriptor>(in packet), interfaceId, _fabric.Now);
    }

    /// <summary>Runs the stack, hands events to the programs and frames to the links, until all is quiet.</summary>
    internal void Settle()
    {
        bool again = true;
        while (again)
        {
            Stack.Poll(_fabric.Now);
            again = DispatchEvents();
            again |= Transmit();
        }
    }

    private bool DispatchEvents()
    {
        bool any = false;
        int count;
        while ((count = Tcp.DequeueEvents(_events)) > 0)
        {
            any = true;
            for (int i = 0; i < count; i++)
            {
                OnEvent?.Invoke(_events[i]);
            }
        }

        return any;
    }

    private bool Transmit()
    {
        bool any = false;
        for (int i = 0; i < _links.Count; i++)
        {
            int count;
            while ((count = Stack.DequeueTransmit(_batch, i + 1)) > 0)
            {
                any = true;
                for (int j = 0; j < count; j++)
                {
                    Instant done = _links[i].Send(Frames.GetSpan(_batch[j]));
                    _fabric.Complete(this, _batch[j].Frame, done);
                }
            }
        }

        return any;
    }
}
