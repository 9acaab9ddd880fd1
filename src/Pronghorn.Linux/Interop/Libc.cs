// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;

namespace Pronghorn.Linux.Interop;

/// <summary>
/// The C library's calls. Each returns what the call returns, or the negative error number; none throws, allocates
/// managed memory or blocks unless its manual page says so.
/// </summary>
/// <remarks>A NativeAOT library that uses this binds "libc" directly (DirectPInvoke), so that no call binds lazily.</remarks>
public static unsafe partial class Libc
{
    private const string Library = "libc";

    // errno is read at once, and only after a failure: the runtime leaves it alone on the way back from a call. To have it
    // saved (SetLastError) would touch a thread-static, which each thread's first call would have to allocate.
    private static int Result(int result) => result < 0 ? -Marshal.GetLastSystemError() : result;

    private static long Result(nint result) => result < 0 ? -Marshal.GetLastSystemError() : result;
}
