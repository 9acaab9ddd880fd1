// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;

namespace Pronghorn.Linux.Interop;

/// <summary>What x86-64 and arm64 do not agree on; all else is in <see cref="Constants"/>.</summary>
internal static class ArchitectureConstants
{
    /// <summary>Number of bpf(2).</summary>
    public static int Bpf => BpfOn(RuntimeInformation.ProcessArchitecture);

    /// <summary>O_NOFOLLOW of open(2).</summary>
    public static int OpenNoFollow => OpenNoFollowOn(RuntimeInformation.ProcessArchitecture);

    /// <summary>Number of bpf(2) on an architecture.</summary>
    public static int BpfOn(Architecture architecture) => architecture == Architecture.X64 ? 321 : 280;

    /// <summary>O_NOFOLLOW on an architecture.</summary>
    public static int OpenNoFollowOn(Architecture architecture) => architecture == Architecture.X64 ? 0x20000 : 0x8000;

    /// <summary>Bytes of struct epoll_event on an architecture: packed on x86-64 only.</summary>
    public static int EpollEventSizeOn(Architecture architecture) => architecture == Architecture.X64 ? 12 : 16;
}
