// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;

namespace Pronghorn.Posix;

/// <content>Setting options, and taking them over from the kernel's socket.</content>
public sealed partial class SocketLayer
{
    private const int MinimumBuffer = 2304; // SOCK_MIN_RCVBUF
    private const int MaximumKeepAliveSeconds = 32767;
    private const int MaximumProbes = 127;

    /// <summary>setsockopt(2).</summary>
    /// <returns>0, a negative error number, or <see cref="SocketResult.Kernel"/>.</returns>
    public int SetOption(int fd, int level, int name, ReadOnlySpan<byte> value)
    {
        int index = FindSocket(fd);
        if (index <= 0)
        {
            return -Error.BadDescriptor;
        }

        ref SocketRecord socket = ref _sockets[index];
        if (level == OptionLevel.Tcp && name == TcpOption.Congestion)
        {
            return SetCongestion(ref socket, value);
        }

        if (value.Length < sizeof(int))
        {
            return level == OptionLevel.Ip && value.Length > 0
                ? SetNumber(ref socket, level, name, value[0])
                : -Error.Invalid;
        }

        if (level == OptionLevel.Socket && IsTimeOption(name))
        {
            return SetTime(ref socket, name, value);
        }

        if (level == OptionLevel.Socket && name == SocketOption.Linger)
        {
            if (value.Length < 2 * sizeof(int))
            {
                return -Error.Invalid;
            }

            int seconds = MemoryMarshal.Read<int>(value[4..]);
            socket.LingerSeconds = MemoryMarshal.Read<int>(value) != 0 ? Math.Max(seconds, 0) : -1;
            return 0;
        }

        return SetNumber(ref socket, level, name, MemoryMarshal.Read<int>(value));
    }

    private static int SetTime(ref SocketRecord socket, int name, ReadOnlySpan<byte> value)
    {
        if (value.Length < 2 * sizeof(long))
        {
            return -Error.Invalid;
        }

        long seconds = MemoryMarshal.Read<long>(value);
        long microseconds = MemoryMarshal.Read<long>(value[8..]);
        if (microseconds is < 0 or >= 1_000_000)
        {
            return -33; // EDOM
        }

        long limit = seconds is < 0 or > int.MaxValue ? 0 : (seconds * 1_000_000_000) + (microseconds * 1000);
        if (name is SocketOption.ReceiveTimeout or SocketOption.ReceiveTimeoutNew)
        {
            socket.ReceiveTimeout = limit;
        }
        else
        {
            socket.SendTimeout = limit;
        }

        return 0;
    }

    private int SetCongestion(ref SocketRecord socket, ReadOnlySpan<byte> value)
    {
        int end = value.IndexOf((byte)0);
        ReadOnlySpan<byte> name = end < 0 ? value : value[..end];
        CongestionAlgorithm algorithm = name.SequenceEqual("cubic"u8) ? CongestionAlgorithm.Cubic
            : name.SequenceEqual("reno"u8) ? CongestionAlgorithm.NewReno
            : CongestionAlgorithm.Default;
        if (algorithm == CongestionAlgorithm.Default)
        {
            return -Error.NoEntry;
        }

        LoadSettings(socket, out SocketSettings settings);
        settings.Congestion = algorithm;
        StoreSettings(ref socket, settings);
        return 0;
    }

    private int SetNumber(ref SocketRecord socket, int level, int name, int number)
    {
        LoadSettings(socket, out SocketSettings settings);
        int result = level switch
        {
            OptionLevel.Socket => ChangeSocketNumber(ref settings, name, number),
            OptionLevel.Tcp => ChangeTcpNumber(ref settings, name, number),
            OptionLevel.Ip => ChangeIpNumber(ref settings, name, number),
            _ => -Error.NoProtocolOption,
        };
        if (result == 0)
        {
            StoreSettings(ref socket, settings);
        }

        return result;
    }

    private void StoreSettings(ref SocketRecord socket, in SocketSettings settings)
    {
        socket.Settings = settings;
        switch (socket.Kind)
        {
            case SocketKind.Connection:
                _now = _kernel.Now;
                _tcp.ApplySettings(socket.Id, settings, _now);
                if (_driver.HasPending && !socket.NonBlocking)
                {
                    Flush();
                }

                break;
            case SocketKind.Listener:
                _tcp.SetListenerSettings(socket.Id, settings);
                break;
            default:
                break;
        }
    }

    private static int ChangeSocketNumber(ref SocketSettings settings, int name, int number)
    {
        switch (name)
        {
            case SocketOption.KeepAlive:
                settings.KeepAlive = number != 0;
                return 0;
            case SocketOption.SendBuffer:
            case SocketOption.SendBufferForce:
                // Linux doubles what it is asked for (socket(7)).
                settings.SendBuffer = Math.Clamp(number, MinimumBuffer, Limits.MaximumSendBuffer / 2) * 2;
                return 0;
            case SocketOption.ReceiveBuffer:
            case SocketOption.ReceiveBufferForce:
                settings.ReceiveBuffer = Math.Clamp(number, MinimumBuffer / 2, Limits.MaximumReceiveBuffer / 2) * 2;
                return 0;
            case SocketOption.Type:
            case SocketOption.Error:
            case SocketOption.AcceptConnections:
            case SocketOption.Protocol:
            case SocketOption.Domain:
            case SocketOption.SendLowWater:
                return -Error.NoProtocolOption;
            default:
                // Reuse, priority, mark and the like: the kernel judges and remembers.
                return SocketResult.Kernel;
        }
    }

    private static int ChangeTcpNumber(ref SocketSettings settings, int name, int number)
    {
        switch (name)
        {
            case TcpOption.NoDelay:
                settings.NoDelay = number != 0;
                return 0;
            case TcpOption.Cork:
                settings.Cork = number != 0;
                return 0;
            case TcpOption.QuickAck:
                settings.QuickAck = number != 0;
                return 0;
            case TcpOption.MaximumSegment:
                return Change(ref settings.MaximumSegmentSize, number, 88, 32767);
            case TcpOption.KeepIdle:
                return Change(ref settings.KeepAliveIdleSeconds, number, 1, MaximumKeepAliveSeconds);
            case TcpOption.KeepInterval:
                return Change(ref settings.KeepAliveIntervalSeconds, number, 1, MaximumKeepAliveSeconds);
            case TcpOption.KeepCount:
                return Change(ref settings.KeepAliveProbes, number, 1, MaximumProbes);
            case TcpOption.SynCount:
                return Change(ref settings.SynRetries, number, 1, MaximumProbes);
            case TcpOption.UserTimeout:
                return Change(ref settings.UserTimeoutMilliseconds, number, 0, int.MaxValue);
            case TcpOption.Linger2:
                settings.FinWait2Seconds = number < 0 ? 0 : number;
                return 0;
            case TcpOption.NotSentLowWater:
                settings.NotSentLowWater = number;
                return 0;
            case TcpOption.DeferAccept:
            case TcpOption.WindowClamp:
            case TcpOption.FastOpen:
            case TcpOption.FastOpenConnect:
                // Hints: a program works without their effect.
                return SocketResult.Kernel;
            default:
                return -Error.NoProtocolOption;
        }
    }

    private static int ChangeIpNumber(ref SocketSettings settings, int name, int number)
    {
        switch (name)
        {
            case IpOption.TypeOfService:
                settings.TypeOfService = (byte)number;
                return 0;
            case IpOption.TimeToLive when number == -1:
                settings.Ttl = 64;
                return 0;
            case IpOption.TimeToLive:
                if (number is < 1 or > 255)
                {
                    return -Error.Invalid;
                }

                settings.Ttl = (byte)number;
                return 0;
            default:
                return SocketResult.Kernel;
        }
    }

    private static int Change(ref int field, int number, int least, int most)
    {
        if (number < least || number > most)
        {
            return -Error.Invalid;
        }

        field = number;
        return 0;
    }

    /// <summary>What the program did to the socket while it was the kernel's.</summary>
    private void ReadKernelState(int fd, ref SocketRecord socket)
    {
        int flags = _kernel.Control(fd, FileControl.GetFlags, 0);
        socket.NonBlocking = flags >= 0 && (flags & FileControl.NonBlocking) != 0;
        Span<byte> value = stackalloc byte[16];
        ref SocketSettings settings = ref socket.Settings;
        socket.ReuseAddress = KernelNumber(fd, OptionLevel.Socket, SocketOption.ReuseAddress, 0) != 0;
        settings.NoDelay = KernelNumber(fd, OptionLevel.Tcp, TcpOption.NoDelay, 0) != 0;
        settings.Cork = KernelNumber(fd, OptionLevel.Tcp, TcpOption.Cork, 0) != 0;
        settings.KeepAlive = KernelNumber(fd, OptionLevel.Socket, SocketOption.KeepAlive, 0) != 0;
        settings.KeepAliveIdleSeconds = KernelNumber(fd, OptionLevel.Tcp, TcpOption.KeepIdle, 7200);
        settings.KeepAliveIntervalSeconds = KernelNumber(fd, OptionLevel.Tcp, TcpOption.KeepInterval, 75);
        settings.KeepAliveProbes = KernelNumber(fd, OptionLevel.Tcp, TcpOption.KeepCount, 9);
        settings.SynRetries = KernelNumber(fd, OptionLevel.Tcp, TcpOption.SynCount, 6);
        settings.UserTimeoutMilliseconds = KernelNumber(fd, OptionLevel.Tcp, TcpOption.UserTimeout, 0);
        settings.TypeOfService = (byte)KernelNumber(fd, OptionLevel.Ip, IpOption.TypeOfService, 0);
        settings.Ttl = (byte)KernelNumber(fd, OptionLevel.Ip, IpOption.TimeToLive, 64);
        ReadKernelBuffers(fd, ref settings);
        if (_kernel.GetOption(fd, OptionLevel.Socket, SocketOption.Linger, value[..8]) >= 0)
        {
            socket.LingerSeconds = MemoryMarshal.Read<int>(value) != 0 ? MemoryMarshal.Read<int>(value[4..]) : -1;
        }

        if (_kernel.GetOption(fd, OptionLevel.Socket, SocketOption.ReceiveTimeout, value) >= 0)
        {
            SetTime(ref socket, SocketOption.ReceiveTimeout, value);
        }

        if (_kernel.GetOption(fd, OptionLevel.Socket, SocketOption.SendTimeout, value) >= 0)
        {
            SetTime(ref socket, SocketOption.SendTimeout, value);
        }
    }

    private void ReadKernelBuffers(int fd, ref SocketSettings settings)
    {
        // A value that differs from a fresh socket's was asked for; else the stack tunes the buffer itself.
        if (_placeholder < 0)
        {
            _placeholder = _kernel.CreatePlaceholder();
        }

        int receive = KernelNumber(fd, OptionLevel.Socket, SocketOption.ReceiveBuffer, 0);
        if (receive != KernelNumber(_placeholder, OptionLevel.Socket, SocketOption.ReceiveBuffer, 0))
        {
            settings.ReceiveBuffer = Math.Clamp(receive, MinimumBuffer, Limits.MaximumReceiveBuffer);
        }

        int send = KernelNumber(fd, OptionLevel.Socket, SocketOption.SendBuffer, 0);
        if (send != KernelNumber(_placeholder, OptionLevel.Socket, SocketOption.SendBuffer, 0))
        {
            settings.SendBuffer = Math.Clamp(send, 2 * MinimumBuffer, Limits.MaximumSendBuffer);
        }
    }

    private int KernelNumber(int fd, int level, int name, int otherwise)
    {
        Span<byte> value = stackalloc byte[sizeof(int)];
        return _kernel.GetOption(fd, level, name, value) < 0 ? otherwise : MemoryMarshal.Read<int>(value);
    }
}
