// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Stack;

namespace Pronghorn.Posix;

/// <summary>What a descriptor is to the trampolines; the values are those of native/preload/abi.h.</summary>
public enum DescriptorClass
{
    /// <summary>The kernel's.</summary>
    Kernel = 0,

    /// <summary>An IPv4 stream socket that could still become ours.</summary>
    Candidate = 1,

    /// <summary>A candidate that listens in the kernel.</summary>
    Listening = 2,

    /// <summary>An epoll set without a socket of ours.</summary>
    KernelEpoll = 3,

    /// <summary>A socket of ours.</summary>
    Socket = 4,

    /// <summary>An epoll set with a socket of ours.</summary>
    Epoll = 5,

    /// <summary>Used by the stack itself.</summary>
    Private = 6,
}

/// <summary>
/// The kernel's side of sockets, as far as socket semantics need it. Every method returns 0 or more, or a negative error
/// number (errno(3)); none blocks.
/// </summary>
public interface IKernel
{
    /// <summary>CLOCK_MONOTONIC.</summary>
    Instant Now { get; }

    /// <summary>bind(2).</summary>
    int Bind(int fd, ReadOnlySpan<byte> address);

    /// <summary>accept4(2) on a listener that does not block.</summary>
    int Accept(int fd, Span<byte> address, ref uint length, int flags);

    /// <summary>getsockname(2).</summary>
    int GetName(int fd, Span<byte> address);

    /// <summary>getsockopt(2).</summary>
    int GetOption(int fd, int level, int name, Span<byte> value);

    /// <summary>fcntl(2).</summary>
    int Control(int fd, int command, long argument);

    /// <summary>close(2).</summary>
    int Close(int fd);

    /// <summary>A new unconnected stream socket, whose copies are the descriptors of accepted connections.</summary>
    int CreatePlaceholder();

    /// <summary>epoll_ctl(2).</summary>
    int EpollControl(int epoll, int operation, int fd, uint events, ulong data);

    /// <summary>eventfd(2).</summary>
    int CreateEvent();

    /// <summary>Makes an eventfd readable.</summary>
    int SignalEvent(int fd);

    /// <summary>Connections, established or nearly so, that the kernel has on a local port.</summary>
    int CountConnections(ushort port);

    /// <summary>Tells the trampolines what a descriptor is from now on.</summary>
    void SetClass(int fd, DescriptorClass value);

    /// <summary>What the trampolines take a descriptor for.</summary>
    DescriptorClass GetClass(int fd);
}
