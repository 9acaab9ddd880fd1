// SPDX-License-Identifier: Apache-2.0
using System;
using System.Net;
using System.Net.Sockets;
using Pronghorn.Wire;

namespace Pronghorn.Lab.Services;

/// <summary>A server's socket in one of the namespaces.</summary>
/// <param name="Socket">It.</param>
/// <param name="End">Where it is reached.</param>
/// <param name="Protocol">By which protocol.</param>
public sealed record Server(Socket Socket, IPEndPoint End, IpProtocol Protocol) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose() => Socket.Dispose();
}
