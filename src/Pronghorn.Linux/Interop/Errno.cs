// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;

namespace Pronghorn.Linux.Interop;

/// <summary>Error numbers of the kernel (errno(3)), as the positive values of the generic ABI (x86-64, arm64).</summary>
public static class Errno
{
    /// <summary>EPERM: operation not permitted.</summary>
    public const int OperationNotPermitted = 1;

    /// <summary>ENOENT: no such file, map entry or object.</summary>
    public const int NoEntry = 2;

    /// <summary>EINTR: interrupted by a signal.</summary>
    public const int Interrupted = 4;

    /// <summary>ENXIO: no such device or address.</summary>
    public const int NoDeviceOrAddress = 6;

    /// <summary>E2BIG: argument list too long; a BPF map that is full.</summary>
    public const int TooBig = 7;

    /// <summary>EBADF: bad file descriptor.</summary>
    public const int BadDescriptor = 9;

    /// <summary>EAGAIN: try again.</summary>
    public const int TryAgain = 11;

    /// <summary>ENOMEM: out of memory.</summary>
    public const int NoMemory = 12;

    /// <summary>EACCES: permission denied.</summary>
    public const int AccessDenied = 13;

    /// <summary>EFAULT: bad address.</summary>
    public const int BadAddress = 14;

    /// <summary>EBUSY: device or resource busy.</summary>
    public const int Busy = 16;

    /// <summary>EEXIST: exists already.</summary>
    public const int Exists = 17;

    /// <summary>ENODEV: no such device.</summary>
    public const int NoDevice = 19;

    /// <summary>EISDIR: it is a directory.</summary>
    public const int IsDirectory = 21;

    /// <summary>EINVAL: invalid argument.</summary>
    public const int Invalid = 22;

    /// <summary>ENOSPC: no space left.</summary>
    public const int NoSpace = 28;

    /// <summary>ERANGE: result out of range.</summary>
    public const int Range = 34;

    /// <summary>ENAMETOOLONG: file name too long.</summary>
    public const int NameTooLong = 36;

    /// <summary>ENOSYS: system call not implemented.</summary>
    public const int NotImplemented = 38;

    /// <summary>EPROTONOSUPPORT: protocol not supported.</summary>
    public const int ProtocolNotSupported = 93;

    /// <summary>EOPNOTSUPP: operation not supported.</summary>
    public const int NotSupported = 95;

    /// <summary>EAFNOSUPPORT: address family not supported.</summary>
    public const int AddressFamilyNotSupported = 97;

    /// <summary>ENOPROTOOPT: no such socket option.</summary>
    public const int NoProtocolOption = 92;

    /// <summary>ENETDOWN: network is down.</summary>
    public const int NetworkDown = 100;

    /// <summary>ENOBUFS: no buffer space.</summary>
    public const int NoBuffers = 105;

    /// <summary>ETOOMANYREFS: too many references; more descriptors are on their way over Unix sockets than a process may have.</summary>
    public const int TooManyReferences = 109;

    /// <summary>What strerror(3) says of a number, as "Connection refused".</summary>
    /// <param name="number">The number, or a negative one as calls here return it.</param>
    public static string Describe(long number) => Marshal.GetPInvokeErrorMessage((int)Math.Abs(number));
}
