// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Maps;

/// <summary>struct service_key: what clients address.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public record struct ServiceKey
{
    /// <summary>Address; the unspecified one of its family for a node port.</summary>
    public NetworkAddress Address;

    /// <summary>Port.</summary>
    public NetworkUInt16 Port;

    /// <summary>Protocol.</summary>
    public IpProtocol Protocol;

    private readonly byte _reserved;

    /// <summary>The key of a frontend.</summary>
    public static ServiceKey From(in FrontendKey key) => new() { Address = key.Address, Port = key.Port, Protocol = key.Protocol };

    /// <summary>The frontend that it is the key of.</summary>
    public readonly FrontendKey ToFrontendKey() => new(Address.Value, Port.Value, Protocol);
}

/// <summary>The VIEW_ flags.</summary>
[Flags]
public enum ViewFlags : byte
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>The source becomes the node's own.</summary>
    Masquerade = 1,

    /// <summary>Only sources in the service's ranges.</summary>
    CheckSource = 2,

    /// <summary>The node's own sockets pass that check.</summary>
    NodeAllowed = 4,
}

/// <summary>struct service_view: what one class of clients gets.</summary>
[StructLayout(LayoutKind.Sequential)]
public record struct ServiceView
{
    /// <summary>The set; 0 unless the action is to forward.</summary>
    public uint Set;

    /// <summary>Backends in slots 0 to this, exclusive.</summary>
    public uint Count;

    /// <summary>What happens.</summary>
    public ServiceViewAction Action;

    /// <summary>Flags.</summary>
    public ViewFlags Flags;

    private readonly ushort _reserved;
}

/// <summary>enum service_action as it lies in memory; the values of <see cref="FrontendAction"/>.</summary>
public enum ServiceViewAction : byte
{
    /// <summary>Not set.</summary>
    None = 0,

    /// <summary>Goes to a backend.</summary>
    Forward = (byte)FrontendAction.Forward,

    /// <summary>Is refused.</summary>
    Reject = (byte)FrontendAction.Reject,

    /// <summary>Is dropped.</summary>
    Drop = (byte)FrontendAction.Drop,
}

/// <summary>The SERVICE_ flags.</summary>
[Flags]
public enum ServiceFlags : ushort
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>Choose by the set's Maglev table.</summary>
    Maglev = 1,

    /// <summary>Answers go straight from the backend's node.</summary>
    DirectReturn = 2,
}

/// <summary>struct service_value: one entry of the table of services.</summary>
[StructLayout(LayoutKind.Sequential)]
public record struct ServiceValue
{
    /// <summary>Identifier of the service port.</summary>
    public uint Service;

    /// <summary>Session affinity in seconds; 0 is none.</summary>
    public uint AffinityTimeout;

    /// <summary>Flags.</summary>
    public ServiceFlags Flags;

    /// <summary>A <see cref="FrontendKind"/>.</summary>
    public byte Kind;

    private readonly byte _reserved;

    /// <summary>For pods.</summary>
    public ServiceView Pod;

    /// <summary>For the node itself.</summary>
    public ServiceView Node;

    /// <summary>For everybody else.</summary>
    public ServiceView External;

    /// <summary>The view of a class.</summary>
    public readonly ServiceView this[ClientClass client] => client switch
    {
        ClientClass.Pod => Pod,
        ClientClass.Node => Node,
        _ => External,
    };
}
