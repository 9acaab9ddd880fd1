// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Interop;
using Pronghorn.Wire;

namespace Pronghorn.Linux.Netlink;

/// <summary>A socket of the kernel, as sock_diag(7) tells of it.</summary>
/// <param name="IsIpv6">Whether its family is AF_INET6; its addresses may be IPv4 nevertheless.</param>
/// <param name="Protocol">TCP or UDP.</param>
/// <param name="State">State of TCP; 1 (established) is a connected UDP socket, 7 (closed) one that is not.</param>
/// <param name="Local">Its own address.</param>
/// <param name="LocalPort">Its own port.</param>
/// <param name="Remote">The address that it is connected to.</param>
/// <param name="RemotePort">The port that it is connected to.</param>
/// <param name="Interface">Index of the interface that it is bound to; 0 for none.</param>
/// <param name="Cookie">The number by which BPF programs know it (bpf_get_socket_cookie).</param>
public readonly record struct DiagnosedSocket(
    bool IsIpv6,
    IpProtocol Protocol,
    byte State,
    IpAddress Local,
    ushort LocalPort,
    IpAddress Remote,
    ushort RemotePort,
    uint Interface,
    ulong Cookie);

/// <summary>
/// Lists the connected TCP and UDP sockets of a network namespace, and ends them (sock_diag(7), inet_diag). The namespace is
/// that of the thread that opens this.
/// </summary>
/// <remarks>One thread at a time. To end sockets needs CAP_NET_ADMIN and a kernel with CONFIG_INET_DIAG_DESTROY.</remarks>
public sealed class SocketDiagnostics : IDisposable
{
    private const int ProtocolSocketDiagnostics = 4;
    private const ushort TypeByFamily = 20;
    private const ushort TypeDestroy = 21;
    private const ushort FlagAcknowledge = 4;
    private const ulong NoCookie = ulong.MaxValue; // INET_DIAG_NOCOOKIE, twice

    // struct inet_diag_req_v2: family, protocol, extensions, padding, states, and the socket's identity of 48 bytes.
    private const int RequestLength = NetlinkMessage.HeaderLength + 8 + IdentityLength;
    private const int IdentityLength = 48;
    internal const int AnswerLength = 72;

    /// <summary>More answers follow.</summary>
    internal const int Unfinished = 1;

    // TCP_TIME_WAIT, TCP_CLOSE, TCP_LISTEN and TCP_NEW_SYN_RECV have no socket of a program behind them, or no other end.
    private const uint ConnectedStates = ~((1u << 6) | (1u << 7) | (1u << 10) | (1u << 12));

    private readonly byte[] _buffer = new byte[65536];
    private int _descriptor;
    private uint _sequence;

    private SocketDiagnostics(int descriptor) => _descriptor = descriptor;

    /// <summary>Opens the socket to ask with.</summary>
    /// <returns>0, or the negative error number.</returns>
    public static int Open(out SocketDiagnostics? diagnostics)
    {
        diagnostics = null;
        int descriptor = Libc.Socket(
            Constants.AddressFamilyNetlink, Constants.SocketRaw | Constants.SocketCloseOnExec, ProtocolSocketDiagnostics);
        if (descriptor >= 0)
        {
            diagnostics = new SocketDiagnostics(descriptor);
        }

        return Math.Min(descriptor, 0);
    }

    /// <summary>Lists connected sockets of one family.</summary>
    /// <param name="isIpv6">Sockets of AF_INET6 (also those that are connected to an IPv4 address), or of AF_INET.</param>
    /// <param name="protocol">TCP or UDP.</param>
    /// <param name="remotePort">Only those connected to this port; 0 for all.</param>
    /// <param name="sockets">Takes what is found.</param>
    /// <returns>0, or the negative error number: -ENOENT when the kernel has no diagnostics for the protocol.</returns>
    public int List(bool isIpv6, IpProtocol protocol, ushort remotePort, ICollection<DiagnosedSocket> sockets)
    {
        ArgumentNullException.ThrowIfNull(sockets);
        Span<byte> request = stackalloc byte[RequestLength];
        WriteRequest(request, TypeByFamily, NetlinkMessage.FlagDump, isIpv6, protocol);
        BinaryPrimitives.WriteUInt16BigEndian(request[(NetlinkMessage.HeaderLength + 10)..], remotePort);
        long result = Ask(request);
        while (result >= 0)
        {
            result = Receive();
            ReadOnlySpan<byte> answers = _buffer.AsSpan(0, (int)Math.Max(result, 0));
            if (result >= 0 && ReadAnswers(answers, _sequence, protocol, sockets) is int end and not Unfinished)
            {
                return end;
            }
        }

        return (int)result;
    }

    /// <summary>Finds the socket of a connection.</summary>
    /// <param name="local">Its own address.</param>
    /// <param name="localPort">Its own port.</param>
    /// <param name="remote">The address that it is connected to.</param>
    /// <param name="remotePort">The port that it is connected to.</param>
    /// <param name="socket">What is found; where there is no connection, perhaps a socket that listens.</param>
    /// <returns>0, or the negative error number: -ENOENT when there is none.</returns>
    public int Find(IpAddress local, ushort localPort, IpAddress remote, ushort remotePort, out DiagnosedSocket socket)
    {
        var wanted = new DiagnosedSocket(!local.IsIpv4, IpProtocol.Tcp, 0, local, localPort, remote, remotePort, 0, NoCookie);
        List<DiagnosedSocket> found = [];
        int result = Request(TypeByFamily, wanted, found);
        socket = found.FirstOrDefault();
        return result < 0 ? result : found.Count == 0 ? -Errno.NoEntry : 0;
    }

    /// <summary>Takes what one read brought of the answers to a request, and passes over those to earlier ones.</summary>
    /// <param name="answers">Netlink messages.</param>
    /// <param name="sequence">The request's number.</param>
    /// <param name="protocol">What was asked for.</param>
    /// <param name="sockets">Takes what is found; null where the request was not to list.</param>
    /// <returns>0 or the negative error number that the kernel ended with, or <see cref="Unfinished"/>.</returns>
    internal static int ReadAnswers(
        ReadOnlySpan<byte> answers, uint sequence, IpProtocol protocol, ICollection<DiagnosedSocket>? sockets)
    {
        while (NetlinkMessage.TryTake(ref answers, out NetlinkMessage message))
        {
            if (message.Sequence != sequence)
            {
                // What is left of a dump that was given up, or a late answer.
                continue;
            }

            if (message.Type is NetlinkMessage.TypeDone or NetlinkMessage.TypeError)
            {
                // Either carries an error number; where an old kernel's end of a dump has none, all is well.
                return message.Payload.Length >= sizeof(int) ? Math.Min(MemoryMarshal.Read<int>(message.Payload), 0)
                    : message.Type == NetlinkMessage.TypeDone ? 0 : -Errno.Invalid;
            }

            if (message.Payload.Length >= AnswerLength)
            {
                sockets?.Add(Parse(message.Payload, protocol));
            }
        }

        return Unfinished;
    }

    /// <summary>Ends a socket: its program gets ECONNABORTED, a TCP peer a reset.</summary>
    /// <returns>
    /// 0, or the negative error number: -ENOENT when it has gone, -EOPNOTSUPP when the kernel lacks CONFIG_INET_DIAG_DESTROY, -EPERM.
    /// </returns>
    public int Destroy(in DiagnosedSocket socket) => Request(TypeDestroy, socket, found: null);

    private int Request(ushort type, in DiagnosedSocket socket, ICollection<DiagnosedSocket>? found)
    {
        Span<byte> request = stackalloc byte[RequestLength];
        WriteRequest(request, type, FlagAcknowledge, socket.IsIpv6, socket.Protocol);
        WriteIdentity(request[(NetlinkMessage.HeaderLength + 8)..], socket);
        long result = Ask(request);
        while (result >= 0)
        {
            result = Receive();
            ReadOnlySpan<byte> answers = _buffer.AsSpan(0, (int)Math.Max(result, 0));
            if (result >= 0 && ReadAnswers(answers, _sequence, socket.Protocol, found) is int end and not Unfinished)
            {
                return end;
            }
        }

        return (int)result;
    }

    /// <summary>Closes the socket.</summary>
    public void Dispose()
    {
        if (_descriptor >= 0)
        {
            _ = Libc.Close(_descriptor);
            _descriptor = -1;
        }
    }

    /// <summary>Sends a request, after what a caller left of the answers to the last: a dump that still runs is EBUSY.</summary>
    private long Ask(ReadOnlySpan<byte> request)
    {
        long left;
        do
        {
            // The kernel goes on with a dump as its answers are read; when nothing is there, none runs.
            left = Libc.Receive(_descriptor, _buffer, Constants.MessageDontWait);
        }
        while (left > 0 || left is -Errno.NoBuffers or -Errno.Interrupted);

        return Libc.Send(_descriptor, request, flags: 0);
    }

    private long Receive()
    {
        long result;
        do
        {
            result = Libc.Receive(_descriptor, _buffer, flags: 0);
        }
        while (result == -Errno.Interrupted);

        return result;
    }

    internal static DiagnosedSocket Parse(ReadOnlySpan<byte> answer, IpProtocol protocol)
    {
        // struct inet_diag_msg: family, state, timer, retransmissions, then the identity.
        bool isIpv6 = answer[0] == Constants.AddressFamilyInet6;
        ReadOnlySpan<byte> identity = answer[4..];
        return new DiagnosedSocket(
            isIpv6,
            protocol,
            answer[1],
            ReadAddress(identity[4..], isIpv6),
            BinaryPrimitives.ReadUInt16BigEndian(identity),
            ReadAddress(identity[20..], isIpv6),
            BinaryPrimitives.ReadUInt16BigEndian(identity[2..]),
            MemoryMarshal.Read<uint>(identity[36..]),
            MemoryMarshal.Read<ulong>(identity[40..]));
    }

    private static IpAddress ReadAddress(ReadOnlySpan<byte> bytes, bool isIpv6) =>
        isIpv6 ? IpAddress.ReadIpv6(bytes) : IpAddress.ReadIpv4(bytes);

    /// <summary>struct inet_diag_sockid.</summary>
    private static void WriteIdentity(Span<byte> identity, in DiagnosedSocket socket)
    {
        BinaryPrimitives.WriteUInt16BigEndian(identity, socket.LocalPort);
        BinaryPrimitives.WriteUInt16BigEndian(identity[2..], socket.RemotePort);
        if (socket.IsIpv6)
        {
            socket.Local.WriteIpv6(identity[4..]);
            socket.Remote.WriteIpv6(identity[20..]);
        }
        else
        {
            socket.Local.WriteIpv4(identity[4..]);
            socket.Remote.WriteIpv4(identity[20..]);
        }

        MemoryMarshal.Write(identity[36..], socket.Interface);
        MemoryMarshal.Write(identity[40..], socket.Cookie);
    }

    private void WriteRequest(Span<byte> request, ushort type, ushort flags, bool isIpv6, IpProtocol protocol)
    {
        request.Clear();
        RouteMonitor.WriteHeader(request, request.Length, type, (ushort)(NetlinkMessage.FlagRequest | flags), ++_sequence);
        Span<byte> body = request[NetlinkMessage.HeaderLength..];
        body[0] = (byte)(isIpv6 ? Constants.AddressFamilyInet6 : Constants.AddressFamilyInet);
        body[1] = (byte)protocol;
        MemoryMarshal.Write(body[4..], ConnectedStates);
    }
}
