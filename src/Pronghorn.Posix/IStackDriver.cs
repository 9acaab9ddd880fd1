// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Stack;
using Pronghorn.Wire;

namespace Pronghorn.Posix;

/// <summary>Whose the segments to an owned local end are.</summary>
public enum EndSteering : byte
{
    /// <summary>All are ours.</summary>
    Ours,

    /// <summary>The kernel may have connections of its own there, and keeps them.</summary>
    CheckKernel,

    /// <summary>Nobody of ours listens there; the kernel keeps its connections, and gets new ones if it listens.</summary>
    Lingering,
}

/// <summary>What moves a stack's frames: a shard on a device, or two stacks back to back in a test.</summary>
public interface IStackDriver
{
    /// <summary>The stack.</summary>
    NetworkStack Stack { get; }

    /// <summary>Whether frames wait to be sent.</summary>
    bool HasPending { get; }

    /// <summary>Whether local addresses have changed since this was last asked.</summary>
    bool TakeAddressChange();

    /// <summary>Takes what has arrived and runs what is due.</summary>
    /// <returns>Frames taken.</returns>
    int Poll(Instant now);

    /// <summary>When the driver itself wants to be polled, beside the stack's own deadline.</summary>
    /// <param name="activity">A number that has grown whenever a call or a timer may have changed a socket.</param>
    Instant NextDeadline(long activity) => Instant.Never;

    /// <summary>The program is about to sleep until something arrives.</summary>
    /// <param name="now">The time.</param>
    /// <param name="activity">As for <see cref="NextDeadline"/>.</param>
    void BeforeSleep(Instant now, long activity);

    /// <summary>The program ends.</summary>
    void Finish();

    /// <summary>Sends what is queued.</summary>
    void Flush();

    /// <summary>Whether a destination is reached through this driver, and from which address.</summary>
    bool Reaches(in IpAddress destination, out IpAddress source);

    /// <summary>The interface whose addresses are served.</summary>
    int InterfaceId { get; }

    /// <summary>Steers a local end to the stack.</summary>
    /// <param name="address">A local address.</param>
    /// <param name="port">A local TCP port.</param>
    /// <param name="steering">Whose are which of its segments.</param>
    /// <returns>0 or a negative error number.</returns>
    int AddOwned(in IpAddress address, ushort port, EndSteering steering);

    /// <summary>Gives a local end back to the kernel.</summary>
    void RemoveOwned(in IpAddress address, ushort port);
}
