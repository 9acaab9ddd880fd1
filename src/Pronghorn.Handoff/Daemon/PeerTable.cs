// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Configuration;
using Pronghorn.Handoff.Peers;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Daemon;

/// <summary>All other daemons: connects to each, again and again, and takes their connections.</summary>
internal sealed class PeerTable
{
    private static readonly TimeSpan s_handshake = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_shortestPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_longestPause = TimeSpan.FromSeconds(5);

    // Of a handshake with a daemon that hangs. Each that is given up leaves a connection in the queue of its listener, and one that is
    // full would look as if the node had gone.
    private static readonly TimeSpan s_longestHandshake = TimeSpan.FromSeconds(160);

    // Pauses, which are up to twice as long, and a connect are to fit into the time after which a peer is given up.
    private const int PausesInTimeout = 4;

    // Of streams whose other side has not said yet who it is. What comes from a peer's address has room of its own, and beyond either a
    // stream is closed at once: a queue that is full would look as if the node had gone, to those whose connections it has.
    private const int MostUnknown = 64;
    private const int MostOfPeer = 8;

    // A stream that nothing comes over is dead after so long; the kernel finds out (tcp(7)).
    private const int KeepAliveIdleSeconds = 2;
    private const int KeepAliveIntervalSeconds = 1;
    private const int KeepAliveProbes = 3;
    private const int UserTimeoutMilliseconds = 10_000;
    private const int OptionUserTimeout = 18; // TCP_USER_TIMEOUT
    private const int ProtocolTcp = 6;

    private readonly PeerAuthentication _authentication;
    private readonly Func<Stream, PeerLink, PeerConnection> _make;
    private readonly ConcurrentDictionary<string, int> _unknown = new();
    private readonly RefusedStreams _refusedPeers;
    private readonly RefusedStreams _refusedStrangers;
    private readonly TimeSpan _longestPause;

    /// <summary>Makes the table.</summary>
    /// <param name="peers">The other nodes.</param>
    /// <param name="authentication">How daemons know each other.</param>
    /// <param name="make">Makes what runs over a stream.</param>
    /// <param name="log">Takes a line about streams that are refused.</param>
    /// <param name="timeout">How long a peer's address may not answer until it is given up.</param>
    internal PeerTable(
        ImmutableArray<HandoffPeer> peers, PeerAuthentication authentication, Func<Stream, PeerLink, PeerConnection> make,
        Action<string> log, TimeSpan timeout)
    {
        (_refusedPeers, _refusedStrangers) = (new RefusedStreams(log), new RefusedStreams(log));
        _longestPause = timeout / PausesInTimeout < s_longestPause ? timeout / PausesInTimeout : s_longestPause;
        _authentication = authentication;
        _make = make;
        Links = [.. peers.Select(peer => new PeerLink(peer))];
    }

    internal ImmutableArray<PeerLink> Links { get; }

    /// <summary>Streams of those who could not show that they are one of the peers.</summary>
    internal long RejectedCount => _refusedPeers.Count + _refusedStrangers.Count;

    /// <summary>The node that has an address; null for none.</summary>
    internal PeerLink? Find(IpAddress address) => Links.FirstOrDefault(link => link.Peer.Addresses.Contains(address));

    /// <summary>Connects and takes connections until cancelled.</summary>
    /// <param name="listeners">Sockets that listen already; disposed of here.</param>
    /// <param name="cancellation">Ends it.</param>
    internal async Task RunAsync(IReadOnlyList<Socket> listeners, CancellationToken cancellation)
    {
        Task[] all =
        [
            .. listeners.Select(listener => AcceptAsync(listener, cancellation)), .. Links.Select(link => ConnectAsync(link, cancellation)),
        ];

        // One that ends before it should has failed: that is not to wait for the others.
        await await Task.WhenAny(all);
        await Task.WhenAll(all);
    }

    private static void Tend(Socket socket)
    {
        socket.NoDelay = true;
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, KeepAliveIdleSeconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, KeepAliveIntervalSeconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, KeepAliveProbes);
        socket.SetRawSocketOption(ProtocolTcp, OptionUserTimeout, BitConverter.GetBytes(UserTimeoutMilliseconds));
    }

    private async Task ConnectAsync(PeerLink link, CancellationToken cancellation)
    {
        TimeSpan pause = s_shortestPause;
        TimeSpan patience = s_handshake;
        for (int attempt = 0; !cancellation.IsCancellationRequested;)
        {
            IpAddress address = link.Peer.Addresses[attempt % link.Peer.Addresses.Length];
            try
            {
                Stream stream = await OpenAsync(link, address, patience, cancellation);
                bool isPeer = await link.UseAsync(_make(stream, link), cancellation);
                pause = isPeer ? s_shortestPause : pause;
            }
            catch (Exception failure) when (IsOfThePeer(failure) && !cancellation.IsCancellationRequested)
            {
                link.Problem = $"{link.Peer.Daemon with { Address = address }}: {PeerFailure.Describe(failure)}";
            }
            catch (Exception failure) when (IsOfThePeer(failure))
            {
                return;
            }

            // Where its kernel answers there is no use in trying elsewhere.
            attempt += link.IsHanging ? 0 : 1;
            patience = !link.IsHanging ? s_handshake : patience * 2 < s_longestHandshake ? patience * 2 : s_longestHandshake;

            // Spread: after a node's restart all others come at once.
            await Task.Delay(pause * (1 + Random.Shared.NextDouble()), cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            pause = pause * 2 < _longestPause ? pause * 2 : _longestPause;
        }
    }

    private async Task<Stream> OpenAsync(PeerLink link, IpAddress to, TimeSpan patience, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(patience);
        link.IsHanging = false;
        var address = IPAddress.Parse(to.ToString());
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        (bool isConnected, bool isAnswering) = (false, false);
        try
        {
            Tend(socket);
            Stream secure = await OnThreadAsync(
                socket,
                async stream =>
                {
                    socket.Connect(new IPEndPoint(address, link.Peer.Daemon.Port));
                    link.BeginHandshake();
                    isConnected = true;
                    return await _authentication.ConnectAsync(stream, link.Peer.Name, limit.Token);
                },
                limit.Token);
            isAnswering = true;
            return secure;
        }
        catch (Exception failure)
        {
            // Its kernel is there, and what it was given is in its hands, whatever its daemon does.
            if (failure is SocketException { SocketErrorCode: SocketError.ConnectionRefused })
            {
                link.LastSeen = Environment.TickCount64;
            }

            socket.Dispose();
            if (!limit.IsCancellationRequested || cancellation.IsCancellationRequested)
            {
                throw;
            }

            (isAnswering, link.IsHanging) = (isConnected, isConnected);
            string what = isConnected
                ? "it is connected, and its daemon has not finished the handshake: it hangs, or large packets are lost on the way (MTU)"
                : "it does not answer";
            throw new IOException(string.Create(CultureInfo.InvariantCulture, $"after {patience.TotalSeconds} s {what}"));
        }
        finally
        {
            if (isConnected)
            {
                link.EndHandshake(isAnswering);
            }
        }
    }

    private async Task AcceptAsync(Socket listener, CancellationToken cancellation)
    {
        using (listener)
        {
            while (!cancellation.IsCancellationRequested)
            {
                try
                {
                    Begin(await listener.AcceptAsync(cancellation), cancellation);
                }
                catch (SocketException)
                {
                    // It has gone again, or there are no descriptors: the next may be luckier.
                    await Task.Delay(s_shortestPause, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }
                catch (OperationCanceledException)
                {
                    return;
                }
            }
        }
    }

    private void Begin(Socket socket, CancellationToken cancellation)
    {
        IPAddress? from = (socket.RemoteEndPoint as IPEndPoint)?.Address;
        string address = (from is { IsIPv4MappedToIPv6: true } ? from.MapToIPv4() : from)?.ToString() ?? "";
        PeerLink? link = IpAddress.TryParse(address, out IpAddress parsed) ? Find(parsed) : null;
        string whose = link?.Peer.Name ?? "";
        if (_unknown.AddOrUpdate(whose, 1, static (_, count) => count + 1) <= (link is null ? MostUnknown : MostOfPeer))
        {
            _ = AnswerAsync(socket, whose, address, cancellation);
            return;
        }

        EndUnknown(whose);
        RefusedOf(whose).Add(address, "too many have come that have not said who they are", Environment.TickCount64);
        socket.Dispose();
    }

    // Strangers, of whom there may be many, are not to hide what is told of peers.
    private RefusedStreams RefusedOf(string whose) => whose.Length > 0 ? _refusedPeers : _refusedStrangers;

    private void EndUnknown(string whose) => _unknown.AddOrUpdate(whose, 0, static (_, count) => count - 1);

    private async Task AnswerAsync(Socket socket, string whose, string address, CancellationToken cancellation)
    {
        PeerLink? link = null;
        SslStream? stream = null;
        string reason;
        try
        {
            Tend(socket);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            limit.CancelAfter(s_handshake);
            (stream, string name) = await OnThreadAsync(
                socket, accepted => _authentication.AcceptAsync(accepted, limit.Token), limit.Token);
            link = Links.FirstOrDefault(one => one.Peer.Name == name);
            reason = $"its certificate is for \"{ShownText.Of(name)}\", which is no peer of the configuration";
        }
        catch (Exception failure) when (IsOfThePeer(failure))
        {
            reason = PeerFailure.Describe(failure);
            socket.Dispose();
        }
        finally
        {
            EndUnknown(whose);
        }

        if (link is not null)
        {
            await link.UseAsync(_make(stream!, link), cancellation);
            return;
        }

        RefusedOf(whose).Add(address, reason, Environment.TickCount64);
        if (stream is not null)
        {
            await stream.DisposeAsync();
        }
    }

    /// <summary>
    /// Does what waits for the other side in a thread that it may keep. Nothing of it may be asynchronous to the socket, which would have
    /// the runtime's thread for all sockets wake with each message from then on.
    /// </summary>
    private static async Task<T> OnThreadAsync<T>(Socket socket, Func<Stream, Task<T>> action, CancellationToken limit)
    {
        var stream = new PeerSocketStream(socket);
        await using CancellationTokenRegistration ending = limit.Register(stream.Dispose);
        return await Task.Factory.StartNew(
            () => action(stream), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap();
    }

    private static bool IsOfThePeer(Exception failure) =>
        failure is SocketException or IOException or AuthenticationException or OperationCanceledException or InvalidOperationException;
}
