// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Maps;

/// <summary>struct slot_key: a place in a set.</summary>
[StructLayout(LayoutKind.Sequential)]
public record struct SlotKey
{
    /// <summary>The set's identifier; 0 keeps the marks of <see cref="IdentifierKind"/>.</summary>
    public uint Set;

    /// <summary>Counts from 0.</summary>
    public uint Slot;
}

/// <summary>
/// What identifiers are of. The slots of set 0, which no frontend names, keep a mark for each that all used ones lie below.
/// </summary>
public enum IdentifierKind
{
    /// <summary>Service ports.</summary>
    Service,

    /// <summary>Sets.</summary>
    Set,

    /// <summary>Backends.</summary>
    Backend,
}

/// <summary>The BACKEND_ flags.</summary>
[Flags]
public enum BackendFlags : byte
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>Runs on this node.</summary>
    Local = 1,
}

/// <summary>struct backend_value: where a connection goes.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
public record struct BackendValue
{
    /// <summary>Address.</summary>
    public NetworkAddress Address;

    /// <summary>Port.</summary>
    public NetworkUInt16 Port;

    /// <summary>Protocol.</summary>
    public IpProtocol Protocol;

    /// <summary>Flags.</summary>
    public BackendFlags Flags;

    /// <summary>The value of a backend.</summary>
    public static BackendValue From(in Backend backend) => new()
    {
        Address = backend.Address,
        Port = backend.Port,
        Protocol = backend.Protocol,
        Flags = backend.IsLocal ? BackendFlags.Local : BackendFlags.None,
    };

    /// <summary>The backend that it is the value of.</summary>
    public readonly Backend ToBackend() => new(Address.Value, Port.Value, Protocol, (Flags & BackendFlags.Local) != 0);
}

/// <summary>struct member_key: says that a set has a backend.</summary>
[StructLayout(LayoutKind.Sequential)]
public record struct MemberKey
{
    /// <summary>The set's identifier.</summary>
    public uint Set;

    /// <summary>The backend's identifier.</summary>
    public uint Backend;
}
