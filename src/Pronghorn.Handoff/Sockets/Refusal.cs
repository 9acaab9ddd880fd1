// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Handoff.Sockets;

/// <summary>Why a connection does not move; it stays where it is and works.</summary>
public enum RefusalReason : byte
{
    /// <summary>None: it moved.</summary>
    None,

    /// <summary>The descriptor is not a TCP connection.</summary>
    NotAConnection,

    /// <summary>It is in a state in which it cannot be moved: not open yet, or ending.</summary>
    State,

    /// <summary>It negotiated ECN, which no socket can be told to go on with.</summary>
    Ecn,

    /// <summary>CAP_NET_ADMIN is missing.</summary>
    Privilege,

    /// <summary>A queue is longer than an image may be.</summary>
    QueueTooLong,

    /// <summary>The new owner's address and port are taken by a connection to the same peer.</summary>
    EndTaken,

    /// <summary>The kernel refused a step.</summary>
    Kernel,

    /// <summary>A table is full.</summary>
    TableFull,

    /// <summary>The other daemon cannot be reached, or did not answer in time.</summary>
    Peer,

    /// <summary>Nobody at the new owner takes connections for that listener.</summary>
    NoWorker,

    /// <summary>It is being moved already.</summary>
    Busy,

    /// <summary>The other daemon refused, for its own reason.</summary>
    Refused,

    /// <summary>A limit of the configuration was reached.</summary>
    Limit,

    /// <summary>The address that the peer knows is not one of this node's in the configuration: nobody could send it back.</summary>
    Address,
}

/// <summary>Why a connection does not move, and in which step.</summary>
/// <param name="Reason">The reason.</param>
/// <param name="Step">What was tried.</param>
/// <param name="Error">The kernel's error number, positive; 0 when the kernel was not the one to refuse.</param>
public readonly record struct Refusal(RefusalReason Reason, string Step, int Error = 0)
{
    private const int AddressNotAvailable = 99; // EADDRNOTAVAIL

    /// <summary>No refusal.</summary>
    public static Refusal None => default;

    /// <summary>Whether there is none.</summary>
    public bool IsNone => Reason == RefusalReason.None;

    /// <inheritdoc/>
    public override string ToString() => Error == 0
        ? $"{Step} ({Reason})"
        : string.Create(CultureInfo.InvariantCulture, $"{Step} ({Reason}, error {Error})");

    internal static Refusal FromKernel(string step, long result)
    {
        int error = (int)-result;
        RefusalReason reason = error switch
        {
            Errno.OperationNotPermitted or Errno.AccessDenied => RefusalReason.Privilege,
            AddressNotAvailable => RefusalReason.EndTaken,
            _ => RefusalReason.Kernel,
        };
        return new Refusal(reason, step, error);
    }
}
