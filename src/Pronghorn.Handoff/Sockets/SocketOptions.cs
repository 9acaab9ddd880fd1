// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Pronghorn.Handoff.Image;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Sockets;

/// <summary>
/// The socket options that move with a connection (socket(7), tcp(7), ip(7), ipv6(7)). SO_BINDTODEVICE does not: the new owner's
/// interfaces are its own.
/// </summary>
public static class SocketOptions
{
    private const int SocketLevel = 1;
    private const int IpLevel = 0;
    private const int Ipv6Level = 41;
    private const int LargestValue = 16;

    // Ids are those of the image's format: a new option gets a new one, and none is used again.
    private static readonly ImmutableArray<SocketOption> s_options =
    [
        new(1, "SO_KEEPALIVE", SocketLevel, 9),
        new(2, "SO_OOBINLINE", SocketLevel, 10),
        new(3, "SO_PRIORITY", SocketLevel, 12),
        new(4, "SO_LINGER", SocketLevel, 13),
        new(5, "SO_RCVLOWAT", SocketLevel, 18),
        new(6, "SO_MARK", SocketLevel, 36),
        new(7, "SO_MAX_PACING_RATE", SocketLevel, 47),
        new(8, "TCP_NODELAY", TcpRepair.Level, 1),
        new(9, "TCP_CORK", TcpRepair.Level, 3),
        new(10, "TCP_KEEPIDLE", TcpRepair.Level, 4),
        new(11, "TCP_KEEPINTVL", TcpRepair.Level, 5),
        new(12, "TCP_KEEPCNT", TcpRepair.Level, 6),
        new(13, "TCP_LINGER2", TcpRepair.Level, 8),
        new(14, "TCP_USER_TIMEOUT", TcpRepair.Level, 18),
        new(15, "TCP_NOTSENT_LOWAT", TcpRepair.Level, 25),
        new(CongestionControl, "TCP_CONGESTION", TcpRepair.Level, CongestionControlName),
        new(17, "IP_TOS", IpLevel, 1),
        new(18, "IP_TTL", IpLevel, 2),
        new(19, "IPV6_TCLASS", Ipv6Level, 67),
        new(20, "IPV6_UNICAST_HOPS", Ipv6Level, 16),
        new(21, "SO_SNDBUF", SocketLevel, 7),
        new(22, "SO_RCVBUF", SocketLevel, 8),
        new(23, "SO_BUF_LOCK", SocketLevel, 72),
        new(24, "TCP_QUICKACK", TcpRepair.Level, 12),
        new(25, "SO_BUSY_POLL", SocketLevel, 46),
        new(ReuseAddress, "SO_REUSEADDR", SocketLevel, ReuseAddressName),
        new(27, "SO_REUSEPORT", SocketLevel, 15),
        new(28, "SO_TIMESTAMPING", SocketLevel, 37),
        new(Ipv6Only, "IPV6_V6ONLY", Ipv6Level, Ipv6OnlyName),
    ];

    private const byte SendBuffer = 21;
    private const byte ReceiveBuffer = 22;
    private const byte BufferLock = 23;
    private const byte CongestionControl = 16;
    private const int CongestionControlName = 13;
    private const byte ReuseAddress = 26;
    private const int ReuseAddressName = 2;
    private const int NotSentLimit = 25;
    private const int LargestBuffer = 1 << 29;
    private const byte Ipv6Only = 29;
    private const int Ipv6OnlyName = 26;
    private const int SendBufferForce = 32;
    private const int ReceiveBufferForce = 33;

    /// <summary>Reads every option that a socket has.</summary>
    public static ImmutableArray<SavedOption> Save(int fd)
    {
        ImmutableArray<SavedOption>.Builder saved = ImmutableArray.CreateBuilder<SavedOption>(s_options.Length);
        Span<byte> value = stackalloc byte[LargestValue];
        foreach (SocketOption option in s_options)
        {
            // An IPv4 socket has no IPv6 options, and an older kernel not all of the others.
            int length = Libc.GetSocketOption(fd, option.Level, option.Name, value);
            if (length > 0)
            {
                saved.Add(new SavedOption(option.Id, value[..length].ToArray()));
            }
        }

        return saved.DrainToImmutable();
    }

    /// <summary>
    /// Sets saved options on a socket. One that this kernel does not know, or that it lacks (a congestion control), is left out.
    /// </summary>
    /// <param name="fd">The socket.</param>
    /// <param name="saved">The options.</param>
    /// <param name="have">Those that it has already: they are not set again.</param>
    /// <returns>Names of those left out.</returns>
    public static ImmutableArray<string> Restore(int fd, ImmutableArray<SavedOption> saved, ImmutableArray<SavedOption> have)
    {
        ImmutableArray<string>.Builder missed = ImmutableArray.CreateBuilder<string>();
        foreach (SavedOption item in saved)
        {
            // Making room for queues has locked the buffers, whatever they were: the kernel would not let them grow any more.
            if (item.Id != BufferLock && Has(have, item))
            {
                continue;
            }

            SocketOption? option = Find(item.Id);
            int result = option is null ? -Errno.NoProtocolOption : Set(fd, option, item.Value.Span);
            if (result < 0)
            {
                missed.Add(option?.Title ?? "option " + item.Id);
            }
        }

        return missed.DrainToImmutable();
    }

    /// <summary>Sets what is asked for when a socket is bound, and cannot be set afterwards.</summary>
    internal static void RestoreBeforeBind(int fd, ImmutableArray<SavedOption> saved)
    {
        foreach (SavedOption option in saved)
        {
            if (option.Id == Ipv6Only)
            {
                _ = Libc.SetSocketOption(fd, Ipv6Level, Ipv6OnlyName, option.Value.Span);
            }
        }
    }

    /// <summary>
    /// Sets the congestion control, which begins when the socket is connected. One that was there before it may leave something behind:
    /// after BBR a socket is paced for ever, by a timer for every few segments (sk_pacing_status in bbr_init of net/ipv4/tcp_bbr.c).
    /// </summary>
    internal static void RestoreBeforeConnect(int fd, ImmutableArray<SavedOption> saved, ImmutableArray<SavedOption> have)
    {
        foreach (SavedOption option in saved)
        {
            if (option.Id == CongestionControl && !Has(have, option))
            {
                // One that this kernel lacks is left out, as the others are.
                _ = Libc.SetSocketOption(fd, TcpRepair.Level, CongestionControlName, option.Value.Span);
            }
        }
    }

    /// <summary>
    /// Sets what repair has taken: leaving it clears SO_REUSEADDR, and a server that is started again could not bind its port as long as
    /// that connection is there.
    /// </summary>
    /// <param name="fd">The socket, out of repair.</param>
    /// <param name="saved">The options that it had; none where that is not known.</param>
    internal static void RestoreAfterRepair(int fd, ImmutableArray<SavedOption> saved)
    {
        if (saved.IsDefaultOrEmpty)
        {
            // As servers set it.
            _ = Libc.SetSocketOption(fd, SocketLevel, ReuseAddressName, 1);
            return;
        }

        foreach (SavedOption option in saved)
        {
            if (option.Id == ReuseAddress)
            {
                _ = Libc.SetSocketOption(fd, SocketLevel, ReuseAddressName, option.Value.Span);
            }
        }
    }

    /// <summary>Gives a socket room for queues of these lengths, whatever the limits of the machine are.</summary>
    internal static void MakeRoom(int fd, int sendQueue, int receiveQueue)
    {
        // The kernel doubles what it is told, for its own structures.
        Grow(fd, 7, SendBufferForce, sendQueue);
        Grow(fd, 8, ReceiveBufferForce, receiveQueue);
    }

    /// <summary>Twice as much room to write into. False when there is more than any queue needs already.</summary>
    internal static bool TryDoubleSendBuffer(int fd)
    {
        if (Libc.GetSocketOption(fd, SocketLevel, 7, out int bytes, out _) < 0 || bytes > LargestBuffer)
        {
            return false;
        }

        // What is set is not grown by the kernel any more, unless that is said.
        bool isKnown = Libc.GetSocketOption(fd, SocketLevel, 72, out int locked, out _) == 0;
        int result = Libc.SetSocketOption(fd, SocketLevel, SendBufferForce, bytes);
        _ = isKnown ? Libc.SetSocketOption(fd, SocketLevel, 72, locked) : 0;
        return result == 0;
    }

    /// <summary>Lets be written whatever there is room for (TCP_NOTSENT_LOWAT).</summary>
    /// <returns>The limit that there was, bytes; 0 for none.</returns>
    internal static int LiftNotSentLimit(int fd)
    {
        _ = Libc.GetSocketOption(fd, TcpRepair.Level, NotSentLimit, out int limit, out _);
        SetNotSentLimit(fd, 0);
        return limit;
    }

    /// <summary>Sets that limit.</summary>
    internal static void SetNotSentLimit(int fd, int bytes) => _ = Libc.SetSocketOption(fd, TcpRepair.Level, NotSentLimit, bytes);

    private static void Grow(int fd, int name, int force, int needed)
    {
        if (Libc.GetSocketOption(fd, SocketLevel, name, out int bytes, out _) == 0 && bytes < 2 * needed)
        {
            _ = Libc.SetSocketOption(fd, SocketLevel, force, needed);
        }
    }

    private static int Set(int fd, SocketOption option, ReadOnlySpan<byte> value)
    {
        switch (option.Id)
        {
            case SendBuffer or ReceiveBuffer:
                // A buffer that the application did not set grows by itself; the larger of both ends' is kept meanwhile.
                int bytes = value.Length == sizeof(int) ? MemoryMarshal.Read<int>(value) : 0;
                if (Libc.GetSocketOption(fd, SocketLevel, option.Name, out int have, out _) == 0 && have < bytes)
                {
                    int force = option.Id == SendBuffer ? SendBufferForce : ReceiveBufferForce;

                    // It is doubled, and one that grew by itself may be odd.
                    return Libc.SetSocketOption(fd, SocketLevel, force, (bytes / 2) + (bytes & 1));
                }

                return 0;
            case ReuseAddress or Ipv6Only:
                return 0;
            case BufferLock:
                return Libc.SetSocketOption(fd, SocketLevel, option.Name, value);
            default:
                return Libc.SetSocketOption(fd, option.Level, option.Name, value);
        }
    }

    private static bool Has(ImmutableArray<SavedOption> options, SavedOption wanted)
    {
        foreach (SavedOption option in options)
        {
            if (option.Id == wanted.Id)
            {
                return option.Value.Span.SequenceEqual(wanted.Value.Span);
            }
        }

        return false;
    }

    private static SocketOption? Find(byte id)
    {
        foreach (SocketOption option in s_options)
        {
            if (option.Id == id)
            {
                return option;
            }
        }

        return null;
    }

    private sealed record SocketOption(byte Id, string Title, int Level, int Name);
}
