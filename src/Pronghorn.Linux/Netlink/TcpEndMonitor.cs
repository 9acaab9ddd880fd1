// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Linux.Interop;
using Pronghorn.Wire;

namespace Pronghorn.Linux.Netlink;

/// <summary>What a look at a <see cref="TcpEndMonitor"/> brought.</summary>
public enum TcpEndEvent
{
    /// <summary>Nothing now; the descriptor becomes readable when there is.</summary>
    None,

    /// <summary>A socket has ended.</summary>
    Ended,

    /// <summary>
    /// More ended than were read, and some were not told: compare what is known with what there is (<see cref="SocketDiagnostics"/>).
    /// </summary>
    Missed,
}

/// <summary>
/// Tells of each TCP socket of a network namespace that ends (sock_diag(7), SKNLGRP_INET_TCP_DESTROY and its sister for IPv6), whoever
/// closed it. A TIME-WAIT that follows is another matter, and its end is not told. The namespace is that of the thread that opens this.
/// </summary>
/// <remarks>One thread at a time. Needs a kernel with CONFIG_INET_TCP_DIAG.</remarks>
public sealed class TcpEndMonitor : IDisposable
{
    private const int ProtocolSocketDiagnostics = 4;
    private const uint GroupTcp = 1u << 0;
    private const uint GroupTcp6 = 1u << 2;
    private const int ReceiveQueueBytes = 4 << 20;

    private readonly byte[] _buffer = new byte[8192];
    private int _position;
    private int _length;

    private TcpEndMonitor(int descriptor) => FileDescriptor = descriptor;

    /// <summary>Readable when something has ended; -1 once disposed.</summary>
    public int FileDescriptor { get; private set; }

    /// <summary>Begins to listen.</summary>
    /// <returns>0 or the negative error number.</returns>
    public static int Open(out TcpEndMonitor? monitor)
    {
        monitor = null;
        int descriptor = Libc.Socket(
            Constants.AddressFamilyNetlink,
            Constants.SocketRaw | Constants.SocketCloseOnExec | Constants.SocketNonBlocking,
            ProtocolSocketDiagnostics);
        if (descriptor < 0)
        {
            return descriptor;
        }

        _ = Libc.SetSocketOption(descriptor, Constants.SocketLevel, Constants.SocketReceiveBufferForce, ReceiveQueueBytes);
        int result = Libc.Bind(
            descriptor, new NetlinkAddress { Family = Constants.AddressFamilyNetlink, Groups = GroupTcp | GroupTcp6 });
        if (result < 0)
        {
            _ = Libc.Close(descriptor);
            return result;
        }

        monitor = new TcpEndMonitor(descriptor);
        return 0;
    }

    /// <summary>Takes the next event.</summary>
    /// <param name="socket">The socket that ended. Only its cookie is sure to be what it was: a reset clears addresses.</param>
    public TcpEndEvent Receive(out DiagnosedSocket socket)
    {
        socket = default;
        while (true)
        {
            while (_position < _length)
            {
                ReadOnlySpan<byte> rest = _buffer.AsSpan(_position, _length - _position);
                bool isWhole = NetlinkMessage.TryTake(ref rest, out NetlinkMessage message);
                _position = _length - rest.Length;
                if (isWhole && message.Payload.Length >= SocketDiagnostics.AnswerLength)
                {
                    socket = SocketDiagnostics.Parse(message.Payload, IpProtocol.Tcp);
                    return TcpEndEvent.Ended;
                }
            }

            long received = Libc.Receive(FileDescriptor, _buffer, Constants.MessageDontWait);
            _position = 0;
            _length = (int)Math.Max(received, 0);
            if (received <= 0)
            {
                return received == -Errno.NoBuffers ? TcpEndEvent.Missed : TcpEndEvent.None;
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (FileDescriptor >= 0)
        {
            _ = Libc.Close(FileDescriptor);
            FileDescriptor = -1;
        }
    }
}
