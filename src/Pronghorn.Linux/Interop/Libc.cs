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

    private static int Result(int result) => result < 0 ? -Marshal.GetLastPInvokeError() : result;

    private static long Result(nint result) => result < 0 ? -Marshal.GetLastPInvokeError() : result;
}
