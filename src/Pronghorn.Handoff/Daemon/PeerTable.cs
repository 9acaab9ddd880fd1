// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
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
internal sealed class PeerTable : IDisposable
{
    private static readonly TimeSpan s_handshake = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_shortestPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_longestPause = TimeSpan.FromSeconds(5);

    // Of streams whose other side has not said yet who it is.
    private const int MostUnknown = 64;

    private readonly PeerAuthentication _authentication;
    private readonly Func<Stream, PeerLink, PeerConnection> _make;
    private readonly SemaphoreSlim _unknown = new(MostUnknown);
    private long _rejected;

    /// <summary>Makes the table.</summary>
    /// <param name="peers">The other nodes.</param>
    /// <param name="mostWaiting">Most messages that wait for a peer that is away.</param>
    /// <param name="authentication">How daemons know each other.</param>
    /// <param name="make">Makes what runs over a stream.</param>
    internal PeerTable(
        ImmutableArray<HandoffPeer> peers, int mostWaiting, PeerAuthentication authentication, Func<Stream, PeerLink, PeerConnection> make)
    {
        _authentication = authentication;
        _make = make;
        Links = [.. peers.Select(peer => new PeerLink(peer, mostWaiting))];
    }

    internal ImmutableArray<PeerLink> Links { get; }

    /// <summary>Streams of those who could not show that they are one of the peers.</summary>
    internal long RejectedCount => Interlocked.Read(ref _rejected);

    /// <summary>The node that has an address; null for none.</summary>
    internal PeerLink? Find(IpAddress address) => Links.FirstOrDefault(link => link.Peer.Daemon.Address == address);

    /// <summary>Connects and takes connections until cancelled.</summary>
    /// <param name="listeners">Sockets that listen already; disposed of here.</param>
    /// <param name="cancellation">Ends it.</param>
    internal Task RunAsync(IReadOnlyList<Socket> listeners, CancellationToken cancellation) => Task.WhenAll(
        [.. listeners.Select(listener => AcceptAsync(listener, cancellation)), .. Links.Select(link => ConnectAsync(link, cancellation))]);

    /// <inheritdoc/>
    public void Dispose() => _unknown.Dispose();

    private async Task ConnectAsync(PeerLink link, CancellationToken cancellation)
    {
        TimeSpan pause = s_shortestPause;
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                Stream stream = await OpenAsync(link.Peer, cancellation);
                pause = s_shortestPause;
                await link.UseAsync(_make(stream, link), cancellation);
            }
            catch (Exception failure) when (IsOfThePeer(failure) && !cancellation.IsCancellationRequested)
            {
                link.Problem = $"{link.Peer.Daemon}: {failure.Message}";
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                return;
            }

            // Spread: after a node's restart all others come at once.
            await Task.Delay(pause * (1 + Random.Shared.NextDouble()), cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            pause = pause * 2 < s_longestPause ? pause * 2 : s_longestPause;
        }
    }

    private async Task<Stream> OpenAsync(HandoffPeer peer, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(s_handshake);
        var address = IPAddress.Parse(peer.Daemon.Address.ToString());
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(new IPEndPoint(address, peer.Daemon.Port), limit.Token);
            return await _authentication.ConnectAsync(new NetworkStream(socket, ownsSocket: true), peer.Name, limit.Token);
        }
        catch
        {
            socket.Dispose();
            throw;
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
                    await _unknown.WaitAsync(cancellation);
                    _ = AnswerAsync(await listener.AcceptAsync(cancellation), cancellation);
                }
                catch (SocketException)
                {
                    // It has gone again, or there are no descriptors: the next may be luckier.
                    _unknown.Release();
                    await Task.Delay(s_shortestPause, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }
                catch (OperationCanceledException)
                {
                    return;
                }
            }
        }
    }

    private async Task AnswerAsync(Socket socket, CancellationToken cancellation)
    {
        PeerLink? link = null;
        SslStream? stream = null;
        try
        {
            socket.NoDelay = true;
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            limit.CancelAfter(s_handshake);
            (stream, string name) = await _authentication.AcceptAsync(new NetworkStream(socket, ownsSocket: true), limit.Token);
            link = Links.FirstOrDefault(one => one.Peer.Name == name);
        }
        catch (Exception failure) when (IsOfThePeer(failure))
        {
            socket.Dispose();
        }
        finally
        {
            _unknown.Release();
        }

        if (link is not null)
        {
            await link.UseAsync(_make(stream!, link), cancellation);
            return;
        }

        Interlocked.Increment(ref _rejected);
        if (stream is not null)
        {
            await stream.DisposeAsync();
        }
    }

    private static bool IsOfThePeer(Exception failure) =>
        failure is SocketException or IOException or AuthenticationException or OperationCanceledException or InvalidOperationException;
}
