// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Threading;

namespace Pronghorn.Lab;

/// <summary>Servers of a lab, one after the other at the same address and port.</summary>
public static class ServerSocket
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(1);

    /// <summary>
    /// Binds and listens where a server before this one may have listened. SO_REUSEADDR is what Bind sets by itself, for connections
    /// that it left in TIME-WAIT. SocketOptionName.ReuseAddress is more: it sets SO_REUSEPORT too, and a program that this process starts
    /// holds a copy of the former listener until it has become that program: the kernel would give connections to either.
    /// </summary>
    /// <param name="socket">A socket of the calling thread's network namespace.</param>
    /// <param name="local">Where.</param>
    /// <param name="backlog">Most connections that wait to be accepted.</param>
    /// <exception cref="SocketException">It cannot listen there: AddressAlreadyInUse when that is so for ten seconds.</exception>
    public static void Listen(Socket socket, IPEndPoint local, int backlog)
    {
        ArgumentNullException.ThrowIfNull(socket);
        ArgumentNullException.ThrowIfNull(local);
        for (long began = Stopwatch.GetTimestamp(); ;)
        {
            try
            {
                socket.Bind(local);
                socket.Listen(backlog);
                return;
            }
            catch (SocketException failure) when (failure.SocketErrorCode == SocketError.AddressAlreadyInUse
                && Stopwatch.GetElapsedTime(began) < s_limit)
            {
                Thread.Sleep(s_pause);
            }
        }
    }
}
