// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <summary>A socket in LISTEN, with its queue of finished handshakes.</summary>
public struct TcpListener
{
    /// <summary>Address listened on; any for all of ours.</summary>
    public IpAddress Local;

    /// <summary>Port listened on.</summary>
    public ushort Port;

    /// <summary>Connections that may wait to be accepted.</summary>
    public int Backlog;

    /// <summary>Connections that wait to be accepted.</summary>
    public int AcceptCount;

    /// <summary>Handshakes under way.</summary>
    public int SynCount;

    /// <summary>When a SYN cookie was last given out; <see cref="Instant.Never"/> before the first.</summary>
    public Instant OverflowedAt;

    /// <summary>What the user attached.</summary>
    public nint Tag;

    /// <summary>What accepted connections start with.</summary>
    public SocketSettings Settings;

    internal int AcceptHead;
    internal int AcceptTail;
    internal int PortNext;
    internal int EventNext;
    internal bool OnEventList;
    internal Readiness PendingEdge;
}
