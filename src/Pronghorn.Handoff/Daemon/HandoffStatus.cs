// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Threading;
using System.Threading.Tasks;

namespace Pronghorn.Handoff.Daemon;

/// <summary>What a daemon says about itself.</summary>
public sealed record HandoffStatus
{
    /// <summary>Its process.</summary>
    public required int ProcessId { get; init; }

    /// <summary>Interface on which it steers.</summary>
    public required string Interface { get; init; }

    /// <summary>Listeners that workers take connections for.</summary>
    public required int Listeners { get; init; }

    /// <summary>Moves under way, in either direction.</summary>
    public required int MovesUnderWay { get; init; }

    /// <summary>Connections given to other nodes since it began.</summary>
    public required long Given { get; init; }

    /// <summary>Of those, the ones whose new owner has not said that they work there.</summary>
    public required long GivenUnconfirmed { get; init; }

    /// <summary>Connections that other nodes gave and that have not ended.</summary>
    public required int TakenNow { get; init; }

    /// <summary>Connections that came and that no worker could be given.</summary>
    public required long Undelivered { get; init; }

    /// <summary>Processes that were sent away because a worker's socket had as many sessions as it may.</summary>
    public long WorkersRejected { get; init; }

    /// <summary>Moves that did not come about, by reason.</summary>
    public required IReadOnlyDictionary<string, long> Refused { get; init; }

    /// <summary>The last of them, by reason, in words.</summary>
    public required IReadOnlyDictionary<string, string> LastRefusals { get; init; }

    /// <summary>How long peers' segments were held: number of moves up to so many microseconds.</summary>
    public required IReadOnlyDictionary<string, long> FreezeMicroseconds { get; init; }

    /// <summary>Of a freeze, what this node did itself as the origin: holding, reading the socket out, redirecting.</summary>
    public IReadOnlyDictionary<string, long> CaptureMicroseconds { get; init; } = ImmutableDictionary<string, long>.Empty;

    /// <summary>Of a freeze, what this node did itself as the target: making the socket.</summary>
    public IReadOnlyDictionary<string, long> RestoreMicroseconds { get; init; } = ImmutableDictionary<string, long>.Empty;

    /// <summary>Bytes that wait now.</summary>
    public required long HeldBytes { get; init; }

    /// <summary>Frames dropped because too many waited.</summary>
    public required long HeldDropped { get; init; }

    /// <summary>Entries of connections given away, those that have just ended among them.</summary>
    public required int InboundEntries { get; init; }

    /// <summary>Entries of connections taken.</summary>
    public required int OutboundEntries { get; init; }

    /// <summary>Entries that there can be of connections given away.</summary>
    public required int InboundLimit { get; init; }

    /// <summary>Entries that there can be of connections taken.</summary>
    public required int OutboundLimit { get; init; }

    /// <summary>The programs' counters of packets.</summary>
    public required IReadOnlyDictionary<string, ulong> Packets { get; init; }

    /// <summary>The programs' counters of bytes.</summary>
    public required IReadOnlyDictionary<string, ulong> Bytes { get; init; }

    /// <summary>Connections at shared addresses whose packets came by this node, and whose owner was found.</summary>
    public long SoughtFound { get; init; }

    /// <summary>The same, and no node had them.</summary>
    public long SoughtUnknown { get; init; }

    /// <summary>The same, and not every node could be asked.</summary>
    public long SoughtUnanswered { get; init; }

    /// <summary>The other nodes.</summary>
    public required IReadOnlyList<PeerStatus> Peers { get; init; }

    /// <summary>Streams of those who could not show that they are one of the peers.</summary>
    public required long PeersRejected { get; init; }

    /// <summary>As one JSON document.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, StatusJson.Default.HandoffStatus);

    /// <summary>Asks a daemon.</summary>
    /// <param name="folder">Its folder of Unix sockets.</param>
    /// <param name="cancellation">Ends the waiting.</param>
    /// <exception cref="IOException">None answers.</exception>
    public static async Task<HandoffStatus> AskAsync(string folder, CancellationToken cancellation)
    {
        string path = StatusServer.PathOf(folder);
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
            await using var stream = new NetworkStream(socket);
            return await JsonSerializer.DeserializeAsync(stream, StatusJson.Default.HandoffStatus, cancellation)
                ?? throw new IOException($"{path}: the daemon says nothing");
        }
        catch (SocketException failure)
        {
            string reason = failure.SocketErrorCode switch
            {
                // .NET's name of ENOENT.
                SocketError.AddressNotAvailable => "there is no such socket",
                SocketError.ConnectionRefused => "the one that made it has ended",
                _ => failure.Message,
            };
            throw new IOException($"{path}: no daemon answers ({reason}); start one with: pronghorn handoff serve", failure);
        }
        catch (JsonException failure)
        {
            throw new IOException($"{path}: what answers is another version: {failure.Message}", failure);
        }
    }

    /// <summary>As the other, for no longer than a time.</summary>
    /// <exception cref="IOException">No daemon answers, or none has within that time.</exception>
    public static async Task<HandoffStatus> AskAsync(string folder, TimeSpan patience, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(patience);
        try
        {
            return await AskAsync(folder, limit.Token);
        }
        catch (OperationCanceledException failure) when (!cancellation.IsCancellationRequested)
        {
            throw new IOException(
                FormattableString.Invariant(
                    $"{StatusServer.PathOf(folder)}: the daemon is there and has not answered for {patience.TotalSeconds:0.#} s"), failure);
        }
    }
}

/// <summary>What there is with another node.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Address">Where its daemon is.</param>
/// <param name="IsConnected">Whether there is a stream with it.</param>
/// <param name="Problem">What is wrong now; null for nothing, or where nothing was tried yet.</param>
/// <param name="GivenUp">Connections that it had and that were given up, because its address did not answer any more.</param>
/// <param name="IsLost">Whether its address has not answered for longer than peer_timeout.</param>
/// <param name="IsSilent">Whether there is a stream, and nothing has come over it for too long to begin a move.</param>
public sealed record PeerStatus(
    string Name, string Address, bool IsConnected, string? Problem, long GivenUp, bool IsLost = false, bool IsSilent = false);

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(HandoffStatus))]
internal sealed partial class StatusJson : JsonSerializerContext;
