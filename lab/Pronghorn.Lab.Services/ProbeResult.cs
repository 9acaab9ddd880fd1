// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;

namespace Pronghorn.Lab.Services;

/// <summary>What came of an attempt to reach a server.</summary>
public enum ProbeOutcome
{
    /// <summary>A server was reached.</summary>
    Answered,

    /// <summary>ECONNREFUSED, at the socket or by an answer from the network.</summary>
    Refused,

    /// <summary>EPERM, or nothing came back.</summary>
    Dropped,

    /// <summary>Another error.</summary>
    Failed,
}

/// <summary>What came of an attempt.</summary>
/// <param name="Outcome">In short.</param>
/// <param name="Server">The server that was reached.</param>
/// <param name="Source">The client's address and port as the server sees them.</param>
/// <param name="Error">The error, if it failed.</param>
public sealed record ProbeResult(
    ProbeOutcome Outcome, Server? Server = null, IPEndPoint? Source = null, SocketError Error = SocketError.Success)
{
    /// <summary>The server's address and port, or the outcome in a word.</summary>
    public override string ToString() => Outcome switch
    {
        ProbeOutcome.Answered => Server!.End.ToString(),
        ProbeOutcome.Refused => "REJECT",
        ProbeOutcome.Dropped => "DROP",
        _ => Error.ToString(),
    };
}
