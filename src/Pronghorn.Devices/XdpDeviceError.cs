// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Devices;

/// <summary>Why a device was not opened.</summary>
public enum XdpDeviceError : byte
{
    /// <summary>It was opened.</summary>
    None,

    /// <summary>A size in the options is out of range.</summary>
    BadOptions,

    /// <summary>There is no interface of that name in this network namespace.</summary>
    InterfaceNotFound,

    /// <summary>A privilege is missing: <see cref="Pronghorn.Linux.RequiredCapabilities.Names"/>, or root.</summary>
    NotPermitted,

    /// <summary>The kernel was built without AF_XDP, or is older than 5.4.</summary>
    XdpSocketsMissing,

    /// <summary>libbpf.so.1 is not installed.</summary>
    LibraryMissing,

    /// <summary>The kernel does not load the steering program.</summary>
    ProgramRefused,

    /// <summary>Another XDP program is attached to the interface.</summary>
    ForeignProgramAttached,

    /// <summary>Another Pronghorn process has the interface.</summary>
    DeviceInUse,

    /// <summary>Another AF_XDP socket is bound to a queue of the interface.</summary>
    QueueInUse,

    /// <summary>The interface takes no XDP program, neither in its driver nor behind it.</summary>
    XdpNotSupported,

    /// <summary>The driver has no zero-copy, which the options ask for.</summary>
    ZeroCopyNotSupported,

    /// <summary>The limit on locked memory is too low for the frames.</summary>
    LockedMemoryLimit,

    /// <summary>A packet of the interface's MTU does not fit a frame.</summary>
    MtuTooLarge,

    /// <summary>The interface has more receive queues than are supported.</summary>
    TooManyQueues,

    /// <summary>There is not enough memory.</summary>
    OutOfMemory,

    /// <summary>Something else; the message and the error number say what.</summary>
    Failed,
}
