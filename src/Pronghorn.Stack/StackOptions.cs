// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Stack.Tcp;

namespace Pronghorn.Stack;

/// <summary>Who resolves neighbours and answers ARP.</summary>
public enum NeighborMode : byte
{
    /// <summary>
    /// The kernel: entries come over rtnetlink, requests go out through <see cref="Link.NeighborTable.TryDequeueRequest"/>.
    /// </summary>
    Kernel,

    /// <summary>The stack itself, on a device that has no kernel behind it.</summary>
    Standalone,
}

/// <summary>What a stack is made with. Nothing of it changes later.</summary>
public sealed class StackOptions
{
    /// <summary>The most connection records, TIME_WAIT included: 1 to 1,048,576.</summary>
    public int MaximumConnections { get; init; } = 65536;

    /// <summary>First half of the secret behind initial sequence numbers and hashes (RFC 6528). Random in production.</summary>
    public ulong Secret0 { get; init; } = 0x0706050403020100;

    /// <summary>Second half of the secret.</summary>
    public ulong Secret1 { get; init; } = 0x0f0e0d0c0b0a0908;

    /// <summary>Who resolves neighbours.</summary>
    public NeighborMode NeighborMode { get; init; } = NeighborMode.Kernel;

    /// <summary>
    /// Accept TCP segments whose checksum field holds only the pseudo-header's sum: what a veth peer with checksum
    /// offload sends, since the rest is left to a device that is not there.
    /// </summary>
    public bool AcceptPartialChecksum { get; init; }

    /// <summary>Receive buffer of a connection at its start, in bytes: 4096 to <see cref="Limits.MaximumReceiveBuffer"/>.</summary>
    public int InitialReceiveBuffer { get; init; } = 128 << 10;

    /// <summary>Send buffer of a connection at its start, in bytes: 4096 to <see cref="Limits.MaximumSendBuffer"/>.</summary>
    public int InitialSendBuffer { get; init; } = 256 << 10;

    /// <summary>Congestion control of connections that choose none.</summary>
    public CongestionAlgorithm Congestion { get; init; } = CongestionAlgorithm.Cubic;

    /// <summary>
    /// Answer SYNs by cookie when a listener's queue of handshakes is full (Linux: tcp_syncookies=1); otherwise drop them.
    /// </summary>
    public bool UseSynCookies { get; init; } = true;

    /// <summary>Negotiate SACK (RFC 2018).</summary>
    public bool UseSack { get; init; } = true;

    /// <summary>Negotiate timestamps (RFC 7323).</summary>
    public bool UseTimestamps { get; init; } = true;

    /// <summary>Negotiate window scaling (RFC 7323).</summary>
    public bool UseWindowScale { get; init; } = true;
}
