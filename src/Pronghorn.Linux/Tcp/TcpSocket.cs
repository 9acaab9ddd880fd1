// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Tcp;

/// <summary>Calls on TCP sockets that are known by their descriptor alone. Each returns 0 or more, or a negative error number.</summary>
public static class TcpSocket
{
    private const int Stream = 1; // SOCK_STREAM
    private const int SocketLevel = 1;
    private const int OptionCookie = 57; // SO_COOKIE
    private const int OptionAcceptsConnections = 30; // SO_ACCEPTCONN

    /// <summary>A new socket that does not block and is not inherited.</summary>
    public static int Open(bool isIpv6) => Libc.Socket(
        isIpv6 ? Constants.AddressFamilyInet6 : Constants.AddressFamilyInet,
        Stream | Constants.SocketCloseOnExec | Constants.SocketNonBlocking,
        0);

    /// <summary>Binds it.</summary>
    public static int Bind(int fd, TcpEnd end, bool isIpv6)
    {
        InternetAddress address = InternetAddress.Create(end, isIpv6);
        return isIpv6 ? Libc.Bind(fd, address) : Libc.Bind(fd, Ipv4Part(address));
    }

    /// <summary>Connects it; in repair without a packet.</summary>
    public static int Connect(int fd, TcpEnd end, bool isIpv6)
    {
        InternetAddress address = InternetAddress.Create(end, isIpv6);
        return isIpv6 ? Libc.Connect(fd, address) : Libc.Connect(fd, Ipv4Part(address));
    }

    /// <summary>
    /// Disconnects it (connect(2) to AF_UNSPEC). In repair no packet is sent, and the connection is gone at once, however many
    /// descriptors the socket has.
    /// </summary>
    public static int Disconnect(int fd) => Libc.Connect(fd, (0ul, 0ul));

    /// <summary>Its own end.</summary>
    /// <param name="fd">The socket.</param>
    /// <param name="end">Address and port.</param>
    /// <param name="isIpv6">Whether it is of AF_INET6, whatever its addresses are.</param>
    public static int GetLocal(int fd, out TcpEnd end, out bool isIpv6)
    {
        int result = Libc.GetSocketName(fd, out InternetAddress address);
        isIpv6 = address[0] == Constants.AddressFamilyInet6 || address[1] == Constants.AddressFamilyInet6;
        return Finish(result, address, out end);
    }

    /// <summary>The other end.</summary>
    public static int GetRemote(int fd, out TcpEnd end)
    {
        int result = Libc.GetPeerName(fd, out InternetAddress address);
        return Finish(result, address, out end);
    }

    /// <summary>The number by which the kernel knows a socket, never used again (SO_COOKIE); sock_diag(7) names it too.</summary>
    public static int GetCookie(int fd, out ulong cookie) => Libc.GetSocketOption(fd, SocketLevel, OptionCookie, out cookie, out _);

    /// <summary>Whether it is a listening socket; false for what is no socket, too.</summary>
    public static bool IsListening(int fd) =>
        Libc.GetSocketOption(fd, SocketLevel, OptionAcceptsConnections, out int accepts, out _) == 0 && accepts != 0;

    private static int Finish(int result, in InternetAddress address, out TcpEnd end)
    {
        end = default;
        if (result < 0)
        {
            return result;
        }

        return address.TryGetEnd(out end) ? 0 : -Errno.Invalid;
    }

    private static (ulong, ulong) Ipv4Part(in InternetAddress address)
    {
        ReadOnlySpan<byte> bytes = address;
        return (BitConverter.ToUInt64(bytes), BitConverter.ToUInt64(bytes[8..]));
    }
}
