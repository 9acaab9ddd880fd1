// SPDX-License-Identifier: Apache-2.0
using System;
using System.Text.Json.Serialization;
using Pronghorn.LoadBalancer.Explain;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>What <c>pronghorn lb status</c> shows.</summary>
public sealed record DaemonStatus
{
    /// <summary>Name of the instance.</summary>
    public required string Instance { get; init; }

    /// <summary>Its process.</summary>
    public required int ProcessId { get; init; }

    /// <summary>Since when it runs.</summary>
    public required DateTimeOffset Started { get; init; }

    /// <summary>Where it learns of services.</summary>
    public required string Source { get; init; }

    /// <summary>Whether the maps were made right since it began.</summary>
    public required bool Synchronized { get; init; }

    /// <summary>Name of the node.</summary>
    public required string Node { get; init; }

    /// <summary>Its zone.</summary>
    public required string Zone { get; init; }

    /// <summary>Its addresses, the primary ones first.</summary>
    public required string[] Addresses { get; init; }

    /// <summary>Ranges of pods.</summary>
    public required string[] PodRanges { get; init; }

    /// <summary>Services that are known.</summary>
    public required int Services { get; init; }

    /// <summary>Service ports of one address family, with identifiers of their own.</summary>
    public required int ServicePorts { get; init; }

    /// <summary>What is attached: programs by their places.</summary>
    public required AttachmentStatus[] Attachments { get; init; }

    /// <summary>How full the maps are.</summary>
    public required MapStatus[] Maps { get; init; }

    /// <summary>Health check ports.</summary>
    public required int[] HealthCheckPorts { get; init; }

    /// <summary>Batches of changes written.</summary>
    public required long Batches { get; init; }

    /// <summary>Entries of maps written or removed.</summary>
    public required long Writes { get; init; }

    /// <summary>When the maps were last made right.</summary>
    public DateTimeOffset? LastSync { get; init; }

    /// <summary>What is wrong.</summary>
    public required string[] Problems { get; init; }
}

/// <summary>A program that is attached.</summary>
/// <param name="Place">Where: a cgroup hook, or an interface.</param>
/// <param name="ProgramId">The kernel's number of the program.</param>
public sealed record AttachmentStatus(string Place, uint ProgramId);

/// <summary>How full a map is.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Setting">The setting that sizes it.</param>
/// <param name="Used">Entries in use.</param>
/// <param name="Capacity">Entries that there may be.</param>
public sealed record MapStatus(string Name, string Setting, int Used, int Capacity);

/// <summary>A service port in the list.</summary>
public sealed record ListedPort
{
    /// <summary>Its service.</summary>
    public required string Service { get; init; }

    /// <summary>Name of the port.</summary>
    public required string Port { get; init; }

    /// <summary>tcp, udp or sctp.</summary>
    public required string Protocol { get; init; }

    /// <summary>Its identifier in the maps; 0 if it is not in them.</summary>
    public required uint Id { get; init; }

    /// <summary>What clients address.</summary>
    public required ListedFrontend[] Frontends { get; init; }

    /// <summary>Where their connections go.</summary>
    public required ListedBackend[] Backends { get; init; }

    /// <summary>Session affinity in seconds; 0 is none.</summary>
    public required double AffinitySeconds { get; init; }

    /// <summary>random or maglev.</summary>
    public required string Algorithm { get; init; }

    /// <summary>Connections so far.</summary>
    public required ulong Connections { get; init; }

    /// <summary>Refused so far.</summary>
    public required ulong Rejected { get; init; }

    /// <summary>Dropped so far.</summary>
    public required ulong Dropped { get; init; }

    /// <summary>Packets so far, at the packet layer.</summary>
    public required ulong Packets { get; init; }

    /// <summary>Bytes of them.</summary>
    public required ulong Bytes { get; init; }

    /// <summary>What is wrong with the service: it may not be served, or only in part.</summary>
    public required string[] Problems { get; init; }
}

/// <summary>A frontend in the list.</summary>
/// <param name="Kind">cluster_ip, node_port, load_balancer or external_ip.</param>
/// <param name="Address">Address and port; of a node port the port alone.</param>
/// <param name="Pod">What pods get: forward, reject or drop.</param>
/// <param name="Node">What the node gets.</param>
/// <param name="External">What others get.</param>
public sealed record ListedFrontend(string Kind, string Address, string Pod, string Node, string External);

/// <summary>A backend in the list.</summary>
/// <param name="Address">Address and port.</param>
/// <param name="IsLocal">Whether it runs on this node.</param>
/// <param name="Scopes">Which policies use it: cluster, local or both.</param>
public sealed record ListedBackend(string Address, bool IsLocal, string Scopes);

/// <summary>The service of a health check.</summary>
/// <param name="Namespace">Its namespace.</param>
/// <param name="Name">Its name.</param>
public sealed record HealthCheckService(string Namespace, string Name);

/// <summary>What a health check is answered; the names are kube-proxy's (pkg/proxy/healthcheck).</summary>
/// <param name="Service">The service.</param>
/// <param name="LocalEndpoints">Ready endpoints on this node.</param>
/// <param name="ServiceProxyHealthy">Whether the proxy works.</param>
public sealed record HealthCheckAnswer(
    [property: JsonPropertyName("service")] HealthCheckService Service,
    [property: JsonPropertyName("localEndpoints")] int LocalEndpoints,
    [property: JsonPropertyName("serviceProxyHealthy")] bool ServiceProxyHealthy);

/// <summary>What /healthz is answered; the names are kube-proxy's (pkg/proxy/healthcheck).</summary>
/// <param name="LastUpdated">When the maps were last made right.</param>
/// <param name="CurrentTime">Now.</param>
/// <param name="Healthy">Whether the maps have all that was told.</param>
public sealed record HealthAnswer(
    [property: JsonPropertyName("lastUpdated")] DateTimeOffset LastUpdated,
    [property: JsonPropertyName("currentTime")] DateTimeOffset CurrentTime,
    [property: JsonPropertyName("healthy")] bool Healthy);

/// <summary>An error of the control socket.</summary>
/// <param name="Error">What is wrong.</param>
public sealed record ControlError(string Error);

/// <summary>The documents of the control socket and the health checks, serialised by generated code.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(DaemonStatus))]
[JsonSerializable(typeof(ListedPort[]))]
[JsonSerializable(typeof(HealthCheckAnswer))]
[JsonSerializable(typeof(HealthAnswer))]
[JsonSerializable(typeof(ControlError))]
[JsonSerializable(typeof(FlowExplanation))]
public sealed partial class ControlJson : JsonSerializerContext;
