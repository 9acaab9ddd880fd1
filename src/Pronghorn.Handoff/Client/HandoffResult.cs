// SPDX-License-Identifier: Apache-2.0
using System;
using System.Net.Sockets;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Client;

/// <summary>How the daemon has answered a worker.</summary>
/// <param name="Reason">Why not; <see cref="RefusalReason.None"/> when it was done.</param>
/// <param name="Text">The same in words; empty when it was done.</param>
public readonly record struct HandoffResult(RefusalReason Reason, string Text)
{
    /// <summary>Whether it was done: of a handoff, that the connection is at the other node.</summary>
    public bool IsDone => Reason == RefusalReason.None;
}

/// <summary>A connection that another node gave to this worker. Disposing it closes it.</summary>
/// <param name="Socket">It, non-blocking, as if it had been accepted here.</param>
/// <param name="Peer">The client's end.</param>
/// <param name="Worker">Index of the worker that was meant.</param>
/// <param name="Consumed">What the former owner read of the stream and this one is to read again.</param>
/// <param name="Tag">What else the former owner sent along.</param>
public sealed record ReceivedConnection(
    SafeSocketHandle Socket, TcpEnd Peer, uint Worker, ReadOnlyMemory<byte> Consumed, ReadOnlyMemory<byte> Tag) : IDisposable
{
    private Socket? _made;

    /// <summary>As a socket of System.Net, which owns it from then on. It waits for ever where one that was accepted does.</summary>
    public Socket ToSocket() => _made ??= new Socket(Socket);

    /// <summary>Closes the descriptor, as close(2) does; nothing when it was closed already, or made a socket that was.</summary>
    public void Dispose()
    {
        if (_made is not null)
        {
            // It would wait for ever for a handle to be released that was taken from it.
            _made.Dispose();
        }
        else if (!Socket.IsClosed && !Socket.IsInvalid)
        {
            // The handle's own Dispose sets SO_LINGER to 0 before: whoever has another descriptor of the connection would reset it when
            // he closes that, and the client would lose what is still on its way.
            int fd = (int)Socket.DangerousGetHandle();
            Socket.SetHandleAsInvalid();
            _ = Libc.Close(fd);
        }
    }
}

/// <summary>Which of a node's services a worker belongs to.</summary>
public enum WorkerService
{
    /// <summary>A balancer: vlb.</summary>
    Vlb,

    /// <summary>A server of content: las.</summary>
    Las,
}
