// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Pronghorn.LoadBalancer.Cluster;

/// <summary>
/// Reads Kubernetes objects from JSON. Fields that a proxy does not use (managedFields are nearly half of an object) are
/// skipped without being built; null means the same as absent, as it does to the API server.
/// </summary>
public static class KubernetesJson
{
    /// <summary>Reads a Service.</summary>
    /// <exception cref="JsonException">It is not one; the exception's path says where.</exception>
    public static Service ReadService(ReadOnlyMemory<byte> json) =>
        Complete(JsonSerializer.Deserialize(json.Span, KubernetesJsonContext.Default.Service) ?? throw NoObject());

    /// <summary>Reads an EndpointSlice.</summary>
    /// <exception cref="JsonException">It is not one; the exception's path says where.</exception>
    public static EndpointSlice ReadEndpointSlice(ReadOnlyMemory<byte> json) =>
        Complete(JsonSerializer.Deserialize(json.Span, KubernetesJsonContext.Default.EndpointSlice) ?? throw NoObject());

    /// <summary>Reads a Node.</summary>
    /// <exception cref="JsonException">It is not one; the exception's path says where.</exception>
    public static Node ReadNode(ReadOnlyMemory<byte> json)
    {
        Node node = JsonSerializer.Deserialize(json.Span, KubernetesJsonContext.Default.Node) ?? throw NoObject();
        return node with { Metadata = Complete(node.Metadata), Spec = OrNew(node.Spec), Status = OrNew(node.Status) };
    }

    /// <summary>Makes what was null or absent the empty thing; deserialisers leave init-only properties null.</summary>
    internal static Service Complete(Service service)
    {
        ServiceSpec spec = OrNew(service.Spec);
        return service with
        {
            Metadata = Complete(service.Metadata),
            Status = OrNew(service.Status),
            Spec = spec with { Ports = spec.Ports?.OfType<ServicePort>().Select(Complete).ToArray() },
        };
    }

    /// <inheritdoc cref="Complete(Service)"/>
    internal static EndpointSlice Complete(EndpointSlice slice)
    {
        return slice with
        {
            Metadata = Complete(slice.Metadata),
            Endpoints = slice.Endpoints?.OfType<Endpoint>().ToArray(),
            Ports = slice.Ports?.OfType<EndpointPort>().ToArray(),
        };
    }

    private static JsonException NoObject() => new("null is not an object", "$", null, null);

    private static Metadata Complete(Metadata? metadata)
    {
        Metadata known = OrNew(metadata);
        return known with
        {
            Name = OrEmpty(known.Name),
            Namespace = OrEmpty(known.Namespace),
            Uid = OrEmpty(known.Uid),
            ResourceVersion = OrEmpty(known.ResourceVersion),
        };
    }

    private static ServicePort Complete(ServicePort port) => port with { Name = OrEmpty(port.Name) };

    private static string OrEmpty(string? text) => text ?? "";

    private static T OrNew<T>(T? value)
        where T : class, new() => value ?? new T();
}

/// <summary>Readers made at build time: no reflection at run time.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Service))]
[JsonSerializable(typeof(EndpointSlice))]
[JsonSerializable(typeof(Node))]
internal sealed partial class KubernetesJsonContext : JsonSerializerContext;
