// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Text.Json.Serialization;
using System.Threading;
using Pronghorn.Lab.Cdn.Load;

namespace Pronghorn.Lab.Cdn.Servers;

/// <summary>What a server has done since it began, as GET /status shows it.</summary>
/// <param name="Node">Its node.</param>
/// <param name="Way">What it does with requests for others' contents.</param>
/// <param name="Workers">Workers that are registered with the handoff daemon.</param>
/// <param name="Clients">Connections that clients opened here and asked for a content, whatever became of them.</param>
/// <param name="Local">Requests answered from here; a stream counts where it began.</param>
/// <param name="Relayed">Requests passed on to another node.</param>
/// <param name="Given">Connections given away.</param>
/// <param name="Taken">Connections that came.</param>
/// <param name="Stayed">Connections that did not move; their requests were relayed.</param>
/// <param name="LastReason">Why the last of them did not.</param>
public sealed record LasStatus(
    string Node, LasWay Way, int Workers, long Clients, long Local, long Relayed, long Given, long Taken, long Stayed,
    string LastReason);

/// <summary>Counters of a server; any worker adds.</summary>
internal sealed class LasCounts
{
    private long _clients;
    private long _local;
    private long _relayed;
    private long _given;
    private long _taken;
    private long _stayed;
    private int _workers;
    private volatile string _lastReason = "";

    internal void AddClient() => Interlocked.Increment(ref _clients);

    internal void AddLocal() => Interlocked.Increment(ref _local);

    internal void AddRelayed() => Interlocked.Increment(ref _relayed);

    internal void AddGiven() => Interlocked.Increment(ref _given);

    internal void AddTaken() => Interlocked.Increment(ref _taken);

    internal void AddStayed(string reason)
    {
        Interlocked.Increment(ref _stayed);
        _lastReason = reason;
    }

    internal void AddWorkers(int change) => Interlocked.Add(ref _workers, change);

    internal LasStatus Read(LasOptions options) => new(
        options.Node, options.Way, Volatile.Read(ref _workers), Interlocked.Read(ref _clients), Interlocked.Read(ref _local),
        Interlocked.Read(ref _relayed), Interlocked.Read(ref _given), Interlocked.Read(ref _taken), Interlocked.Read(ref _stayed),
        _lastReason);
}

/// <summary>The documents of the lab's servers, serialised by generated code.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, UseStringEnumConverter = true)]
[JsonSerializable(typeof(LasStatus))]
[JsonSerializable(typeof(LoadResult))]
[JsonSerializable(typeof(Dictionary<string, string>))]
public sealed partial class CdnJson : JsonSerializerContext;
