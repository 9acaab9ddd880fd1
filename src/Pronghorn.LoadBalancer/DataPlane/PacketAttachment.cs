// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.LoadBalancer.DataPlane;

/// <summary>Where a program of the packet layer is called.</summary>
public enum PacketHook
{
    /// <summary>XDP.</summary>
    Xdp,

    /// <summary>tc, where a packet comes in.</summary>
    Ingress,

    /// <summary>tc, where a packet goes out.</summary>
    Egress,
}

/// <summary>A program that runs on an interface.</summary>
/// <param name="InterfaceIndex">The interface's index.</param>
/// <param name="Hook">Where.</param>
/// <param name="ProgramId">The kernel's number for the program.</param>
public readonly record struct PacketAttachment(int InterfaceIndex, PacketHook Hook, uint ProgramId);
