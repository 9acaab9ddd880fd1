// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Wire;

namespace Pronghorn.Stack.Ip;

internal enum PathStatus : byte
{
    Resolved,
    NoRoute,
    NeighborUnresolved,
}

/// <summary>By which device and to which station a packet goes.</summary>
internal readonly record struct PathResult(PathStatus Status, int InterfaceId, MacAddress NextHopMac);
