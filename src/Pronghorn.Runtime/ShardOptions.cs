// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Devices;
using Pronghorn.Stack.Tcp;

namespace Pronghorn.Runtime;

/// <summary>How to open a <see cref="Shard"/>.</summary>
public sealed class ShardOptions
{
    /// <summary>The device's options.</summary>
    public XdpDeviceOptions Device { get; init; } = new();

    /// <summary>The most connection records.</summary>
    public int MaximumConnections { get; init; } = 65536;

    /// <summary>Congestion control of connections that choose none.</summary>
    public CongestionAlgorithm Congestion { get; init; } = CongestionAlgorithm.Cubic;
}
