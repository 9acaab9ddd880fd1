// SPDX-License-Identifier: Apache-2.0
using System;
using System.Net.Sockets;

namespace Pronghorn.Handoff.Peers;

/// <summary>What went wrong with a stream to another daemon, in words for who looks after nodes.</summary>
internal static class PeerFailure
{
    // What OpenSSL calls a message by which the other side ends a handshake (RFC 8446, section 6.2).
    private const string Alert = "alert";

    /// <summary>The reason at the bottom of an exception: what is above it says that there is one below.</summary>
    internal static string Describe(Exception failure)
    {
        Exception cause = failure.GetBaseException();

        // The text of one from a connect names the address, which whoever prints this has done already.
        return cause is SocketException socket ? new SocketException((int)socket.SocketErrorCode).Message
            : cause.Message.Contains(Alert, StringComparison.OrdinalIgnoreCase)
            ? $"it ended the handshake: {cause.Message.Trim()}"
            : cause.Message;
    }
}
