// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Posix;

/// <summary>What a socket of ours has become.</summary>
internal enum SocketKind : byte
{
    /// <summary>Neither connected nor listening.</summary>
    Idle,

    /// <summary>Connected, connecting, or no longer connected.</summary>
    Connection,

    /// <summary>Listening.</summary>
    Listener,
}

/// <summary>An open socket: what Linux calls an open file description. Several descriptors may refer to it.</summary>
internal struct SocketRecord
{
    public SocketKind Kind;

    /// <summary>O_NONBLOCK.</summary>
    public bool NonBlocking;

    /// <summary>A connect(2) whose success no call has reported yet.</summary>
    public bool Connecting;

    /// <summary>The connection was open once.</summary>
    public bool WasConnected;

    /// <summary>SO_REUSEADDR.</summary>
    public bool ReuseAddress;

    /// <summary>An IPv6 socket to the program: its addresses are IPv4 ones in IPv6's form (RFC 4291 2.5.5.2).</summary>
    public bool Mapped;

    /// <summary>Descriptors that refer to it.</summary>
    public int References;

    /// <summary>A descriptor of it: the kernel's socket below a listener or an idle socket.</summary>
    public int Descriptor;

    /// <summary>The stack's number of the connection or listener; 0 when idle.</summary>
    public int Id;

    /// <summary>First entry of the list of epoll interests in it.</summary>
    public int FirstInterest;

    /// <summary>SO_LINGER in seconds, -1 when off.</summary>
    public int LingerSeconds;

    /// <summary>SO_RCVTIMEO in nanoseconds, 0 when none.</summary>
    public long ReceiveTimeout;

    /// <summary>SO_SNDTIMEO in nanoseconds, 0 when none.</summary>
    public long SendTimeout;

    /// <summary>Local end that is kept steered to us for its sake.</summary>
    public IpAddress OwnedAddress;

    /// <summary>Port of <see cref="OwnedAddress"/>; 0 when none.</summary>
    public ushort OwnedPort;

    /// <summary>Options while there is no connection that holds them.</summary>
    public SocketSettings Settings;
}

/// <summary>One descriptor in one epoll set.</summary>
internal struct Interest
{
    public int Socket;
    public int Set;
    public int Descriptor;

    /// <summary>EPOLL* as asked for.</summary>
    public uint Events;

    public ulong Data;
    public bool OnReadyList;

    /// <summary>Reported once (EPOLLONESHOT), and waiting for EPOLL_CTL_MOD.</summary>
    public bool Disabled;

    public int SocketNext;
    public int SetNext;
    public int SetPrevious;
    public int ReadyNext;
    public int ReadyPrevious;
}

/// <summary>An epoll set with sockets of ours in it.</summary>
internal struct EpollSet
{
    /// <summary>The real set's descriptor.</summary>
    public int Descriptor;

    public int References;

    /// <summary>An eventfd in the real set, to wake who sleeps there.</summary>
    public int EventDescriptor;

    public int FirstInterest;
    public int ReadyHead;
    public int ReadyTail;

    /// <summary>Threads that sleep in the real set.</summary>
    public int Blocked;

    /// <summary>Whether <see cref="EventDescriptor"/> was signalled for them.</summary>
    public bool Signalled;

    /// <summary>Whether another set or a poll(2) may watch the real set itself.</summary>
    public bool Nested;

    /// <summary>Whether the device is a member of the real set, as it must be while a thread sleeps there.</summary>
    public bool HasDevice;

    /// <summary>When a thread last came back from its sleep.</summary>
    public Instant AwakeSince;
}

/// <summary>A local end that is steered to us.</summary>
internal struct OwnedEnd
{
    public IpAddress Address;
    public ushort Port;

    /// <summary>Sockets that need it; at 0 it stays until the last connection record is gone.</summary>
    public int Users;

    /// <summary>Those of them that listen.</summary>
    public int Listeners;

    /// <summary>Whether one ever listened; if none does now, somebody else may.</summary>
    public bool WasListening;

    /// <summary>Whose its segments are; the kernel is asked for each unless they are all ours.</summary>
    public EndSteering Steering;

    /// <summary>Whether nothing is steered: the interface has lost the address, or it is back but steering it failed.</summary>
    public bool Suspended;

    /// <summary>Sweep in which a connection was last seen on it.</summary>
    public int Seen;

    /// <summary>Listeners found for it while addresses are followed.</summary>
    public int Expected;

    public int PortNext;
}
