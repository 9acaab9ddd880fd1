// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Posix.Tests;

/// <summary>Compares the numbers of the socket layer with the headers that programs are compiled with.</summary>
public sealed class HeaderTests
{
    private const string Prologue = """
        #define _GNU_SOURCE
        #include <errno.h>
        #include <fcntl.h>
        #include <poll.h>
        #include <stddef.h>
        #include <netinet/in.h>
        #include <sys/epoll.h>
        #include <sys/ioctl.h>
        #include <sys/socket.h>
        #include <linux/in6.h>
        #include <linux/sockios.h>
        #include <linux/tcp.h>
        """;

    [Theory]
    [InlineData(HeaderCheck.X64)]
    [InlineData(HeaderCheck.Arm64)]
    public void Numbers_ComparedWithTheHeaders_AreTheSame(string target)
    {
        Dictionary<string, long> stated = [];
        AddErrors(stated);
        AddFlags(stated);
        AddSocketOptions(stated);
        AddTcpOptions(stated);
        AddTcpInformation(stated);
        Assert.Empty(HeaderCheck.Mismatches(target, Prologue, [], stated));
    }

    [Fact]
    public void EpollEvent_ComparedWithTheHeader_HasItsSizeHere() => Assert.Empty(HeaderCheck.Mismatches(
        RuntimeInformation.ProcessArchitecture == Architecture.X64 ? HeaderCheck.X64 : HeaderCheck.Arm64,
        Prologue,
        [],
        new Dictionary<string, long> { ["sizeof(struct epoll_event)"] = SocketLayer.EpollEventSize }));

    private static void AddErrors(Dictionary<string, long> values)
    {
        values["EINTR"] = Error.Interrupted;
        values["EBADF"] = Error.BadDescriptor;
        values["EAGAIN"] = Error.Again;
        values["ENOMEM"] = Error.NoMemory;
        values["EEXIST"] = Error.Exists;
        values["ENOENT"] = Error.NoEntry;
        values["EINVAL"] = Error.Invalid;
        values["EPIPE"] = Error.Pipe;
        values["EPROTO"] = Error.Protocol;
        values["EMSGSIZE"] = Error.MessageSize;
        values["ENOPROTOOPT"] = Error.NoProtocolOption;
        values["EOPNOTSUPP"] = Error.NotSupported;
        values["EAFNOSUPPORT"] = Error.AddressFamily;
        values["EADDRINUSE"] = Error.AddressInUse;
        values["EADDRNOTAVAIL"] = Error.AddressNotAvailable;
        values["ENETUNREACH"] = Error.NetworkUnreachable;
        values["ECONNABORTED"] = Error.ConnectionAborted;
        values["ECONNRESET"] = Error.ConnectionReset;
        values["ENOBUFS"] = Error.NoBuffers;
        values["EISCONN"] = Error.IsConnected;
        values["ENOTCONN"] = Error.NotConnected;
        values["ETIMEDOUT"] = Error.TimedOut;
        values["ECONNREFUSED"] = Error.ConnectionRefused;
        values["EHOSTUNREACH"] = Error.HostUnreachable;
        values["EALREADY"] = Error.Already;
        values["EINPROGRESS"] = Error.InProgress;
    }

    private static void AddFlags(Dictionary<string, long> values)
    {
        values["MSG_OOB"] = MessageFlags.OutOfBand;
        values["MSG_PEEK"] = MessageFlags.Peek;
        values["MSG_TRUNC"] = MessageFlags.Truncate;
        values["MSG_DONTWAIT"] = MessageFlags.DontWait;
        values["MSG_ERRQUEUE"] = MessageFlags.ErrorQueue;
        values["MSG_MORE"] = MessageFlags.More;
        values["F_DUPFD"] = FileControl.Duplicate;
        values["F_GETFL"] = FileControl.GetFlags;
        values["F_SETFL"] = FileControl.SetFlags;
        values["F_DUPFD_CLOEXEC"] = FileControl.DuplicateCloseOnExec;
        values["O_RDWR"] = FileControl.ReadWrite;
        values["O_NONBLOCK"] = FileControl.NonBlocking;
        values["O_CLOEXEC"] = FileControl.CloseOnExec;
        values["EPOLL_CTL_ADD"] = Polling.Add;
        values["EPOLL_CTL_DEL"] = Polling.Delete;
        values["EPOLL_CTL_MOD"] = Polling.Modify;
        values["EPOLLIN"] = Polling.In;
        values["EPOLLOUT"] = Polling.Out;
        values["EPOLLERR"] = Polling.ErrorEvent;
        values["EPOLLHUP"] = Polling.HangUp;
        values["EPOLLRDNORM"] = Polling.ReadNormal;
        values["EPOLLWRNORM"] = Polling.WriteNormal;
        values["EPOLLEXCLUSIVE"] = Polling.Exclusive;
        values["EPOLLWAKEUP"] = Polling.WakeUp;
        values["EPOLLONESHOT"] = Polling.OneShot;
        values["(unsigned)EPOLLET"] = Polling.EdgeTriggered;
        values["POLLIN"] = Polling.In;
        values["POLLOUT"] = Polling.Out;
        values["sizeof(struct sockaddr_in)"] = SocketAddress.Length;
        values["sizeof(struct sockaddr_in6)"] = SocketAddress.Longest;
    }

    private static void AddSocketOptions(Dictionary<string, long> values)
    {
        values["SOL_SOCKET"] = OptionLevel.Socket;
        values["IPPROTO_IP"] = OptionLevel.Ip;
        values["IPPROTO_TCP"] = OptionLevel.Tcp;
        values["IPPROTO_IPV6"] = OptionLevel.Ipv6;
        values["SO_REUSEADDR"] = SocketOption.ReuseAddress;
        values["SO_TYPE"] = SocketOption.Type;
        values["SO_ERROR"] = SocketOption.Error;
        values["SO_SNDBUF"] = SocketOption.SendBuffer;
        values["SO_RCVBUF"] = SocketOption.ReceiveBuffer;
        values["SO_KEEPALIVE"] = SocketOption.KeepAlive;
        values["SO_LINGER"] = SocketOption.Linger;
        values["SO_RCVLOWAT"] = SocketOption.ReceiveLowWater;
        values["SO_SNDLOWAT"] = SocketOption.SendLowWater;
        values["SO_RCVTIMEO_OLD"] = SocketOption.ReceiveTimeout;
        values["SO_SNDTIMEO_OLD"] = SocketOption.SendTimeout;
        values["SO_ACCEPTCONN"] = SocketOption.AcceptConnections;
        values["SO_SNDBUFFORCE"] = SocketOption.SendBufferForce;
        values["SO_RCVBUFFORCE"] = SocketOption.ReceiveBufferForce;
        values["SO_PROTOCOL"] = SocketOption.Protocol;
        values["SO_DOMAIN"] = SocketOption.Domain;
        values["SO_RCVTIMEO_NEW"] = SocketOption.ReceiveTimeoutNew;
        values["SO_SNDTIMEO_NEW"] = SocketOption.SendTimeoutNew;
        values["IPV6_V6ONLY"] = Ipv6Option.Ipv6Only;
        values["IP_TOS"] = IpOption.TypeOfService;
        values["IP_TTL"] = IpOption.TimeToLive;
        values["FIONREAD"] = 0x541B;
        values["FIONBIO"] = 0x5421;
        values["SIOCOUTQ"] = 0x5411;
    }

    private static void AddTcpOptions(Dictionary<string, long> values)
    {
        values["TCP_NODELAY"] = TcpOption.NoDelay;
        values["TCP_MAXSEG"] = TcpOption.MaximumSegment;
        values["TCP_CORK"] = TcpOption.Cork;
        values["TCP_KEEPIDLE"] = TcpOption.KeepIdle;
        values["TCP_KEEPINTVL"] = TcpOption.KeepInterval;
        values["TCP_KEEPCNT"] = TcpOption.KeepCount;
        values["TCP_SYNCNT"] = TcpOption.SynCount;
        values["TCP_LINGER2"] = TcpOption.Linger2;
        values["TCP_DEFER_ACCEPT"] = TcpOption.DeferAccept;
        values["TCP_WINDOW_CLAMP"] = TcpOption.WindowClamp;
        values["TCP_INFO"] = TcpOption.Information;
        values["TCP_QUICKACK"] = TcpOption.QuickAck;
        values["TCP_CONGESTION"] = TcpOption.Congestion;
        values["TCP_USER_TIMEOUT"] = TcpOption.UserTimeout;
        values["TCP_FASTOPEN"] = TcpOption.FastOpen;
        values["TCP_NOTSENT_LOWAT"] = TcpOption.NotSentLowWater;
        values["TCP_FASTOPEN_CONNECT"] = TcpOption.FastOpenConnect;
    }

    private static void AddTcpInformation(Dictionary<string, long> values)
    {
        Offset("tcpi_rto", nameof(TcpInformation.Rto));
        Offset("tcpi_unacked", nameof(TcpInformation.Unacked));
        Offset("tcpi_pmtu", nameof(TcpInformation.PathMtu));
        Offset("tcpi_rtt", nameof(TcpInformation.Rtt));
        Offset("tcpi_snd_ssthresh", nameof(TcpInformation.SendSsThresh));
        Offset("tcpi_snd_cwnd", nameof(TcpInformation.SendCwnd));
        Offset("tcpi_total_retrans", nameof(TcpInformation.TotalRetrans));
        Offset("tcpi_pacing_rate", nameof(TcpInformation.PacingRate));
        Offset("tcpi_bytes_received", nameof(TcpInformation.BytesReceived));
        Offset("tcpi_min_rtt", nameof(TcpInformation.MinimumRtt));
        Offset("tcpi_delivery_rate", nameof(TcpInformation.DeliveryRate));
        Offset("tcpi_bytes_retrans", nameof(TcpInformation.BytesRetransmitted));
        Offset("tcpi_reord_seen", nameof(TcpInformation.ReorderingSeen));
        values["offsetof(struct tcp_info, tcpi_reord_seen) + sizeof(__u32)"] = Unsafe.SizeOf<TcpInformation>();

        void Offset(string field, string name) =>
            values[$"offsetof(struct tcp_info, {field})"] = (long)Marshal.OffsetOf<TcpInformation>(name);
    }
}
