// SPDX-License-Identifier: Apache-2.0
using System;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Lab;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;
using Xunit;

namespace Pronghorn.Handoff.Tests.Sockets;

/// <summary>A connection leaves its socket and goes on in another, on one host and without steering: nothing is in flight.</summary>
public sealed class ConnectionMoveTests : IDisposable
{
    private const int SocketLevel = 1;
    private const int BufferLock = 72; // SO_BUF_LOCK
    private const int TcpLevel = 6;
    private const int CongestionControl = 13; // TCP_CONGESTION
    private const int ProtocolMultipath = 262; // IPPROTO_MPTCP
    private const int AddressReuse = 2; // SO_REUSEADDR; .NET's option of that name is SO_REUSEPORT too

    private readonly NetworkNamespace _host = NetworkNamespace.Create(LabCleanup.CreatePrefix() + "-move");

    // As on a wire: loopback's segments of 64 KiB are larger than a small buffer's window, and wait for the persist timer, moved or not.
    public ConnectionMoveTests() => _host.Run("ip", "link", "set", "lo", "mtu", "1500");

    public void Dispose() => _host.Dispose();

    [Theory]
    [InlineData("127.0.0.1", false)]
    [InlineData("::1", false)]
    [InlineData("127.0.0.1", true)]
    public void HalfReadRequestAndOptions_Moved_GoOn(string address, bool isMapped) => NamespaceThread.Run(_host, () =>
    {
        using var pair = new Pair(address, isMapped);
        pair.Server.NoDelay = true;
        pair.Server.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        pair.Server.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 33);
        pair.Client.Send("GET /one"u8);
        byte[] buffer = new byte[100];
        Assert.Equal(4, pair.Server.Receive(buffer, 0, 4, SocketFlags.None));

        ConnectionImage image = pair.Take();
        Assert.Equal("/one"u8.ToArray(), image.ReceiveQueue.ToArray());
        using Socket moved = pair.Move(image);

        Assert.Equal(4, moved.Receive(buffer));
        Assert.Equal("/one"u8.ToArray(), buffer[..4]);
        Assert.True(moved.NoDelay);
        Assert.Equal(1, moved.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive));
        Assert.Equal(33, moved.GetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime));
        AssertTalks(pair.Client, moved);
    });

    [Theory]
    [InlineData("127.0.0.1", false)]
    [InlineData("::1", false)]
    [InlineData("127.0.0.1", true)]
    public void Moved_SendsAsLargeSegmentsAsBefore(string address, bool isMapped) => NamespaceThread.Run(_host, () =>
    {
        using var pair = new Pair(address, isMapped);
        Assert.Equal(0, TcpInformation.Query(pair.ServerDescriptor, out TcpInformation before));
        Assert.InRange(before.SendMaximumSegment, 1400u, 1460u);

        using Socket moved = pair.Move(pair.Take());

        Assert.Equal(0, TcpInformation.Query((int)moved.Handle, out TcpInformation after));
        Assert.Equal(before.SendMaximumSegment, after.SendMaximumSegment);
        AssertTalks(pair.Client, moved);
        Assert.Equal(0, TcpInformation.Query((int)moved.Handle, out after));
        Assert.Equal(before.SendMaximumSegment, after.SendMaximumSegment);
    });

    [Theory]
    [InlineData("reno")]
    [InlineData(null)]
    public void CongestionControl_Moved_IsTheSame(string? name)
    {
        string hosts = _host.Run("cat", "/proc/sys/net/ipv4/tcp_congestion_control").Trim();
        _host.Run("sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno");
        NamespaceThread.Run(_host, () =>
        {
            using var pair = new Pair("127.0.0.1");
            byte[] value = new byte[16];
            string wanted = name ?? hosts;
            Assert.Equal(0, Libc.SetSocketOption(pair.ServerDescriptor, TcpLevel, CongestionControl, Encoding.ASCII.GetBytes(wanted)));
            using Socket moved = pair.Move(pair.Take());
            int length = Libc.GetSocketOption((int)moved.Handle, TcpLevel, CongestionControl, value.AsSpan());
            Assert.Equal(wanted, Encoding.ASCII.GetString(value, 0, length).TrimEnd('\0'));
            AssertTalks(pair.Client, moved);
        });
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void BuffersThatGrow_GrowOnWhereTheyHaveMoved_AndThoseThatAreSetStay(int locked) => NamespaceThread.Run(_host, () =>
    {
        using var pair = new Pair("127.0.0.1");
        pair.Server.Blocking = false;
        byte[] part = new byte[100_000];
        while (pair.Server.Poll(0, SelectMode.SelectWrite))
        {
            pair.Server.Send(part, SocketFlags.None, out _);
        }

        Assert.Equal(0, Libc.SetSocketOption(pair.ServerDescriptor, SocketLevel, BufferLock, locked));
        using Socket moved = pair.Move(pair.Take());

        Assert.Equal(0, Libc.GetSocketOption((int)moved.Handle, SocketLevel, BufferLock, out int now, out _));
        Assert.Equal(locked, now);
    });

    [Fact]
    public void UnsentAndUnacknowledgedBytes_Moved_ArriveOnceAndInOrder() => NamespaceThread.Run(_host, () =>
    {
        using var pair = new Pair("127.0.0.1");
        pair.Client.ReceiveBufferSize = 4096;
        byte[] all = [.. Enumerable.Range(0, 3_000_000).Select(i => (byte)(i * 7))];
        pair.Server.Blocking = false;
        int written = 0;
        while (pair.Server.Poll(0, SelectMode.SelectWrite) && written < all.Length)
        {
            written += pair.Server.Send(all.AsSpan(written), SocketFlags.None, out _);
        }

        ConnectionImage image = pair.Take();
        Assert.InRange(image.Unsent, 1, image.SendQueue.Length);
        Socket moved = pair.Move(image);
        byte[] received = new byte[written];
        int count = 0;
        while (count < written)
        {
            count += pair.Client.Receive(received.AsSpan(count));
        }

        Assert.Equal(all[..written], received);
        AssertTalks(pair.Client, moved);
        moved.Dispose();
    });

    [Fact]
    public void PeerStillOpenAndOursShutWithBytesQueued_Moved_EndsWithAllBytes() => NamespaceThread.Run(_host, () =>
    {
        using var pair = new Pair("127.0.0.1");
        pair.Client.ReceiveBufferSize = 4096;
        byte[] all = new byte[1_000_000];
        new Random(1).NextBytes(all);
        pair.Server.Blocking = false;
        int written = pair.Server.Send(all);
        pair.Server.Shutdown(SocketShutdown.Send);

        ConnectionImage image = pair.Take();
        Assert.Equal(KernelTcpState.FinWait1, image.State);
        using Socket moved = pair.Move(image);
        byte[] received = new byte[written];
        int count = 0;
        while (count < written)
        {
            count += pair.Client.Receive(received.AsSpan(count));
        }

        Assert.Equal(all[..written], received);
        Assert.Equal(0, pair.Client.Receive(received));
    });

    [Fact]
    public void GivenBack_Connection_WorksInItsSocket() => NamespaceThread.Run(_host, () =>
    {
        using var pair = new Pair("127.0.0.1");
        pair.Client.Send("x"u8);
        Assert.True(pair.Server.Poll(5_000_000, SelectMode.SelectRead));
        Assert.True(ConnectionCapture.TryTake(pair.ServerDescriptor, out ConnectionImage? image).IsNone);
        Assert.NotNull(image);

        ConnectionCapture.GiveBack(pair.ServerDescriptor);

        Assert.Equal(1, pair.Server.Receive(new byte[10]));
        AssertTalks(pair.Client, pair.Server);
    });

    [Theory]
    [InlineData(false, 0)]
    [InlineData(false, 1)]
    [InlineData(true, 0)]
    [InlineData(true, 1)]
    public void AddressReuse_IsKept_SoThatTheServerCanBeStartedAgain(bool isMoved, int reuses) => NamespaceThread.Run(_host, () =>
    {
        using var pair = new Pair("127.0.0.1");
        Assert.Equal(0, Libc.SetSocketOption(pair.ServerDescriptor, SocketLevel, AddressReuse, reuses));
        Assert.True(ConnectionCapture.TryInspect(pair.ServerDescriptor, out InspectedConnection? inspected).IsNone);
        ConnectionImage image = pair.Take();
        if (!isMoved)
        {
            ConnectionCapture.GiveBack(pair.ServerDescriptor, inspected!.Options);
        }

        using Socket there = isMoved ? pair.Move(image) : pair.Server;

        AssertTalks(pair.Client, there);
        Assert.Equal(0, Libc.GetSocketOption((int)there.Handle, SocketLevel, AddressReuse, out int kept, out _));
        Assert.Equal(reuses, kept);
        using var again = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        Exception? failure = Record.Exception(() => again.Bind(there.LocalEndPoint!));
        Assert.Equal(reuses == 0, failure is SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse });
    });

    /// <summary>The kernel tells of what has come up to the urgent mark only: bytes behind it were lost.</summary>
    [Theory]
    [InlineData(0, false)]
    [InlineData(3, false)]
    [InlineData(6, false)]
    [InlineData(6, true)]
    public void UrgentData_NotReadYet_Stays_AndEveryByteIsRead(int read, bool isTaken) => NamespaceThread.Run(_host, () =>
    {
        using var pair = new Pair("127.0.0.1");
        pair.Client.Send("before"u8);
        Assert.Equal(1, pair.Client.Send("!"u8, SocketFlags.OutOfBand));
        pair.Client.Send("behind"u8);
        Assert.True(pair.Server.Poll(5_000_000, SelectMode.SelectError), "no urgent data came");
        byte[] buffer = new byte[20];
        Assert.Equal(read, read == 0 ? 0 : pair.Server.Receive(buffer, 0, read, SocketFlags.None));
        if (isTaken)
        {
            Assert.Equal(1, pair.Server.Receive(buffer, 1, SocketFlags.OutOfBand));
        }

        Refusal refusal = ConnectionCapture.TryTake(pair.ServerDescriptor, out ConnectionImage? image);

        Assert.Equal(RefusalReason.State, refusal.Reason);
        Assert.Null(image);
        string rest = "";
        while (rest.Length < 12 - read)
        {
            rest += Encoding.ASCII.GetString(buffer, 0, pair.Server.Receive(buffer));
        }

        Assert.Equal("beforebehind"[read..], rest);
        Assert.True(ConnectionCapture.TryTake(pair.ServerDescriptor, out _).IsNone, "what was urgent is not past");
        ConnectionCapture.GiveBack(pair.ServerDescriptor);
        AssertTalks(pair.Client, pair.Server);
    });

    [Fact]
    public void EndTaken_Restore_IsRefusedAsThat() => NamespaceThread.Run(_host, () =>
    {
        using var pair = new Pair("127.0.0.1");
        Assert.True(ConnectionCapture.TryTake(pair.ServerDescriptor, out ConnectionImage? image).IsNone);

        Refusal refusal = ConnectionRestore.TryMake(image!, image!.Local, out int fd);

        Assert.Equal(RefusalReason.EndTaken, refusal.Reason);
        Assert.Equal(-1, fd);
        ConnectionCapture.GiveBack(pair.ServerDescriptor);
        AssertTalks(pair.Client, pair.Server);
    });

    [Fact]
    public void ListenerAndStrangers_Examined_AreRefused() => NamespaceThread.Run(_host, () =>
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        using var datagrams = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);

        Assert.Equal(RefusalReason.State, ConnectionCapture.TryTake((int)listener.Handle, out _).Reason);
        Assert.Equal(RefusalReason.NotAConnection, ConnectionCapture.TryTake((int)datagrams.Handle, out _).Reason);
        Assert.Equal(RefusalReason.NotAConnection, ConnectionCapture.TryTake(-1, out _).Reason);
    });

    /// <summary>
    /// What lies over TCP in the kernel has a state of its own that no image has. Of a listener for MPTCP, as servers in Go have by
    /// default, those connections move whose clients have plain TCP.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ListenerForMultipath_ConnectionsOfMultipathStay_AndOthersMove(bool isMultipath) => NamespaceThread.Run(_host, () =>
    {
        using Socket listener = OpenMultipath();
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        using var pair = new Pair(
            listener, isMultipath ? OpenMultipath() : new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        AssertTalks(pair.Client, pair.Server);

        if (isMultipath)
        {
            Refusal refusal = ConnectionCapture.TryTake(pair.ServerDescriptor, out _);
            Assert.Equal(RefusalReason.State, refusal.Reason);
            Assert.Contains("\"mptcp\"", refusal.ToString(), StringComparison.Ordinal);
            AssertTalks(pair.Client, pair.Server);
            return;
        }

        using Socket moved = pair.Move(pair.Take());
        AssertTalks(pair.Client, moved);
    });

    private static Socket OpenMultipath()
    {
        int fd = Libc.Socket((int)AddressFamily.InterNetwork, 1, ProtocolMultipath);
        Assert.True(fd >= 0, $"no socket of MPTCP (CONFIG_MPTCP, net.mptcp.enabled): error {-fd}");
        return new Socket(new SafeSocketHandle(fd, ownsHandle: true));
    }

    private static void AssertTalks(Socket client, Socket server)
    {
        byte[] buffer = new byte[100];
        client.ReceiveTimeout = 5000;
        server.Blocking = true;
        server.ReceiveTimeout = 5000;
        server.Send("answer"u8);
        Assert.Equal(6, client.Receive(buffer));
        client.Send("again"u8);
        Assert.Equal(5, server.Receive(buffer));
    }

    private sealed class Pair : IDisposable
    {
        public Pair(string address, bool isMapped = false)
        {
            var end = new IPEndPoint(isMapped ? IPAddress.IPv6Any : IPAddress.Parse(address), 0);
            using var listener = new Socket(end.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            if (isMapped)
            {
                listener.DualMode = true;
            }

            listener.Bind(end);
            listener.Listen();
            Client = new Socket(IPAddress.Parse(address).AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            Client.Connect(IPAddress.Parse(address), ((IPEndPoint)listener.LocalEndPoint!).Port);
            Server = listener.Accept();
        }

        public Pair(Socket listener, Socket client)
        {
            Client = client;
            Client.Connect(listener.LocalEndPoint!);
            Server = listener.Accept();
        }

        public Socket Client { get; }

        public Socket Server { get; }

        public int ServerDescriptor => (int)Server.Handle;

        public ConnectionImage Take()
        {
            Refusal refusal = ConnectionCapture.TryTake(ServerDescriptor, out ConnectionImage? image);
            Assert.True(refusal.IsNone, refusal.ToString());
            return image!;
        }

        public Socket Move(ConnectionImage image)
        {
            Assert.Equal(0, ConnectionCapture.Discard(ServerDescriptor));
            Refusal refusal = ConnectionRestore.TryMake(image, image.Local, out int fd);
            Assert.True(refusal.IsNone, refusal.ToString());
            refusal = ConnectionRestore.GoLive(fd, image);
            Assert.True(refusal.IsNone, refusal.ToString());
            return new Socket(new SafeSocketHandle(fd, ownsHandle: true)) { Blocking = true };
        }

        public void Dispose()
        {
            Client.Dispose();
            Server.Dispose();
        }
    }
}
