// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>Room for struct sockaddr_in or sockaddr_in6.</summary>
[InlineArray(28)]
public struct SocketAddressBytes
{
    private byte _first;
}
