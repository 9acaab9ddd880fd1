// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Posix;

/// <content>Reading options and names.</content>
public sealed partial class SocketLayer
{
    /// <summary>getsockname(2) and getpeername(2).</summary>
    public int GetName(int fd, Span<byte> address, ref uint length, bool peer)
    {
        int index = FindSocket(fd);
        if (index <= 0)
        {
            return -Error.BadDescriptor;
        }

        ref SocketRecord socket = ref _sockets[index];
        if (socket.Kind != SocketKind.Connection)
        {
            return peer ? -Error.NotConnected : SocketResult.Kernel;
        }

        ref readonly TransmissionControlBlock tcb = ref _tcp.Get(socket.Id);
        if (peer && tcb.State is TcpState.SynSent or TcpState.Closed)
        {
            return -Error.NotConnected;
        }

        SocketAddress.Give(
            address, ref length, peer ? tcb.Remote : tcb.Local, peer ? tcb.RemotePort : tcb.LocalPort, socket.Mapped);
        return 0;
    }

    /// <summary>getsockopt(2).</summary>
    /// <param name="fd">A descriptor of ours.</param>
    /// <param name="level">SOL_* or IPPROTO_*.</param>
    /// <param name="name">The option.</param>
    /// <param name="value">Room.</param>
    /// <param name="length">Bytes given.</param>
    /// <returns>0, a negative error number, or <see cref="SocketResult.Kernel"/>.</returns>
    public int GetOption(int fd, int level, int name, Span<byte> value, out uint length)
    {
        length = 0;
        int index = FindSocket(fd);
        if (index <= 0)
        {
            return -Error.BadDescriptor;
        }

        ref SocketRecord socket = ref _sockets[index];
        if (level == OptionLevel.Tcp && name == TcpOption.Information)
        {
            length = (uint)FillInformation(socket, value);
            return 0;
        }

        if (level == OptionLevel.Tcp && name == TcpOption.Congestion)
        {
            length = (uint)GiveCongestion(socket, value);
            return 0;
        }

        if (level == OptionLevel.Socket && IsTimeOption(name))
        {
            length = (uint)GiveTime(socket, name, value);
            return 0;
        }

        if (level == OptionLevel.Socket && name == SocketOption.Linger)
        {
            Span<int> linger = [socket.LingerSeconds >= 0 ? 1 : 0, Math.Max(socket.LingerSeconds, 0)];
            length = (uint)Give(MemoryMarshal.AsBytes(linger), value);
            return 0;
        }

        int number;
        if (level == OptionLevel.Ipv6 && name == Ipv6Option.Ipv6Only && socket.Mapped)
        {
            number = 0;
            length = (uint)Give(MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in number)), value);
            return 0;
        }

        bool known = level switch
        {
            OptionLevel.Socket => TryGetSocketNumber(ref socket, name, out number),
            OptionLevel.Tcp => TryGetTcpNumber(socket, name, out number),
            OptionLevel.Ip => TryGetIpNumber(socket, name, out number),
            _ => Unknown(out number),
        };
        if (!known)
        {
            return SocketResult.Kernel;
        }

        length = (uint)Give(MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in number)), value);
        return 0;
    }

    /// <summary>F_GETFL.</summary>
    public int GetFlags(int fd)
    {
        int index = FindSocket(fd);
        return index <= 0 ? -Error.BadDescriptor
            : FileControl.ReadWrite | (_sockets[index].NonBlocking ? FileControl.NonBlocking : 0);
    }

    /// <summary>F_SETFL; only O_NONBLOCK has a meaning.</summary>
    public int SetFlags(int fd, int flags)
    {
        int index = FindSocket(fd);
        if (index <= 0)
        {
            return -Error.BadDescriptor;
        }

        _sockets[index].NonBlocking = (flags & FileControl.NonBlocking) != 0;
        return 0;
    }

    /// <summary>ioctl(2).</summary>
    public int InputOutputControl(int fd, ulong request, ref int value)
    {
        const ulong Readable = 0x541B; // FIONREAD
        const ulong NonBlocking = 0x5421; // FIONBIO
        const ulong OutputQueue = 0x5411; // SIOCOUTQ
        const ulong NotSent = 0x894B; // SIOCOUTQNSD
        const ulong AtMark = 0x8905; // SIOCATMARK
        int index = FindSocket(fd);
        if (index <= 0)
        {
            return -Error.BadDescriptor;
        }

        ref SocketRecord socket = ref _sockets[index];
        if (request == NonBlocking)
        {
            socket.NonBlocking = value != 0;
            return 0;
        }

        if (request is not (Readable or OutputQueue or NotSent or AtMark))
        {
            return SocketResult.Kernel;
        }

        if (socket.Kind != SocketKind.Connection)
        {
            return -Error.Invalid;
        }

        value = request switch
        {
            Readable => _tcp.ReceivableBytes(socket.Id),
            OutputQueue => _tcp.SendQueueBytes(socket.Id),
            NotSent => _tcp.UnsentBytes(socket.Id),
            _ => 0,
        };
        return 0;
    }

    private static int Give(ReadOnlySpan<byte> value, Span<byte> destination)
    {
        int count = Math.Min(value.Length, destination.Length);
        value[..count].CopyTo(destination);
        return count;
    }

    private static bool Unknown(out int number)
    {
        number = 0;
        return false;
    }

    private static bool IsTimeOption(int name) => name is SocketOption.ReceiveTimeout or SocketOption.SendTimeout
        or SocketOption.ReceiveTimeoutNew or SocketOption.SendTimeoutNew;

    private static int GiveTime(in SocketRecord socket, int name, Span<byte> value)
    {
        long limit = name is SocketOption.ReceiveTimeout or SocketOption.ReceiveTimeoutNew
            ? socket.ReceiveTimeout
            : socket.SendTimeout;
        Span<long> parts = [limit / 1_000_000_000, limit % 1_000_000_000 / 1000];
        return Give(MemoryMarshal.AsBytes(parts), value);
    }

    private void LoadSettings(in SocketRecord socket, out SocketSettings settings)
    {
        if (socket.Kind == SocketKind.Connection)
        {
            _tcp.GetSettings(socket.Id, out settings);
        }
        else
        {
            settings = socket.Settings;
        }
    }

    private bool TryGetSocketNumber(ref SocketRecord socket, int name, out int number)
    {
        LoadSettings(socket, out SocketSettings settings);
        bool connection = socket.Kind == SocketKind.Connection;
        switch (name)
        {
            case SocketOption.Type:
                number = 1; // SOCK_STREAM
                return true;
            case SocketOption.Domain:
                number = socket.Mapped ? 10 : 2; // AF_INET6, AF_INET
                return true;
            case SocketOption.ReuseAddress when connection:
                number = socket.ReuseAddress ? 1 : 0;
                return true;
            case SocketOption.Protocol:
                number = 6; // IPPROTO_TCP
                return true;
            case SocketOption.Error:
                number = connection ? Error.From(_tcp.TakeError(socket.Id)) : 0;
                return true;
            case SocketOption.AcceptConnections:
                number = socket.Kind == SocketKind.Listener ? 1 : 0;
                return true;
            case SocketOption.KeepAlive:
                number = settings.KeepAlive ? 1 : 0;
                return true;
            case SocketOption.SendBuffer when connection:
                number = _tcp.Get(socket.Id).SendBuffer;
                return true;
            case SocketOption.ReceiveBuffer when connection:
                number = _tcp.Get(socket.Id).ReceiveBuffer;
                return true;
            default:
                number = 0;
                return false;
        }
    }

    private bool TryGetTcpNumber(in SocketRecord socket, int name, out int number)
    {
        LoadSettings(socket, out SocketSettings settings);
        number = name switch
        {
            TcpOption.NoDelay => settings.NoDelay ? 1 : 0,
            TcpOption.Cork => settings.Cork ? 1 : 0,
            TcpOption.KeepIdle => settings.KeepAliveIdleSeconds,
            TcpOption.KeepInterval => settings.KeepAliveIntervalSeconds,
            TcpOption.KeepCount => settings.KeepAliveProbes,
            TcpOption.SynCount => settings.SynRetries,
            TcpOption.Linger2 => settings.FinWait2Seconds,
            TcpOption.QuickAck => settings.QuickAck ? 1 : 0,
            TcpOption.UserTimeout => settings.UserTimeoutMilliseconds,
            TcpOption.NotSentLowWater => settings.NotSentLowWater,
            TcpOption.DeferAccept or TcpOption.FastOpen or TcpOption.FastOpenConnect => 0,
            TcpOption.MaximumSegment when socket.Kind == SocketKind.Connection => _tcp.Get(socket.Id).SendMss,
            TcpOption.MaximumSegment => settings.MaximumSegmentSize > 0 ? settings.MaximumSegmentSize : Limits.DefaultMss,
            TcpOption.WindowClamp => 0,
            _ => int.MinValue,
        };
        return number != int.MinValue;
    }

    private bool TryGetIpNumber(in SocketRecord socket, int name, out int number)
    {
        LoadSettings(socket, out SocketSettings settings);
        number = name switch
        {
            IpOption.TypeOfService => settings.TypeOfService,
            IpOption.TimeToLive => settings.Ttl,
            _ => -1,
        };
        return number >= 0;
    }

    private int GiveCongestion(in SocketRecord socket, Span<byte> value)
    {
        LoadSettings(socket, out SocketSettings settings);
        CongestionAlgorithm algorithm = socket.Kind == SocketKind.Connection
            ? _tcp.Get(socket.Id).Congestion
            : settings.Congestion;
        Span<byte> name = stackalloc byte[16]; // TCP_CA_NAME_MAX
        name.Clear();
        (algorithm == CongestionAlgorithm.NewReno ? "reno"u8 : "cubic"u8).CopyTo(name);
        return Give(name, value);
    }
}
