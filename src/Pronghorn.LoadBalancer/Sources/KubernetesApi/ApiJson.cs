// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Pronghorn.LoadBalancer.Sources.KubernetesApi;

/// <summary>meta/v1 Status.</summary>
internal sealed record ApiStatus(string? Message, string? Reason, ApiStatusDetails? Details, int Code);

/// <summary>meta/v1 StatusDetails.</summary>
internal sealed record ApiStatusDetails(int RetryAfterSeconds);

/// <summary>meta/v1 ListMeta, and what bookmarks carry.</summary>
internal sealed record ApiListMetadata(string? ResourceVersion, string? Continue, IReadOnlyDictionary<string, string>? Annotations);

/// <summary>A list; its items stay JSON until each is read by itself, so that a wrong one spoils only itself.</summary>
internal sealed record ApiList(ApiListMetadata? Metadata, IReadOnlyList<JsonElement>? Items);

/// <summary>A watch event (meta/v1 WatchEvent).</summary>
internal sealed record ApiWatchEvent(string? Type, JsonElement Object);

/// <summary>The metadata of any object.</summary>
internal sealed record ApiObject(ApiObjectMetadata? Metadata);

/// <summary>Of ObjectMeta, what the watch itself needs.</summary>
internal sealed record ApiObjectMetadata(
    string? Name, string? Namespace, string? ResourceVersion, IReadOnlyDictionary<string, string>? Annotations);

/// <summary>A kubeconfig file (v1 Config).</summary>
internal sealed record KubeconfigFile(
    [property: JsonPropertyName("current-context")] string? CurrentContext,
    IReadOnlyList<KubeconfigNamed<KubeconfigCluster>>? Clusters,
    IReadOnlyList<KubeconfigNamed<KubeconfigUser>>? Users,
    IReadOnlyList<KubeconfigNamed<KubeconfigContext>>? Contexts);

/// <summary>A named part of a kubeconfig.</summary>
internal sealed record KubeconfigNamed<T>(string? Name, T? Cluster, T? User, T? Context)
    where T : class
{
    /// <summary>The part, whatever its list calls it.</summary>
    [JsonIgnore]
    public T? Value => Cluster ?? User ?? Context;
}

/// <summary>How to reach a server.</summary>
internal sealed record KubeconfigCluster(
    string? Server,
    [property: JsonPropertyName("certificate-authority")] string? CertificateAuthority,
    [property: JsonPropertyName("certificate-authority-data")] string? CertificateAuthorityData,
    [property: JsonPropertyName("insecure-skip-tls-verify")] bool InsecureSkipTlsVerify,
    [property: JsonPropertyName("tls-server-name")] string? TlsServerName);

/// <summary>How to say who one is.</summary>
internal sealed record KubeconfigUser(
    string? Token,
    string? TokenFile,
    [property: JsonPropertyName("client-certificate")] string? ClientCertificate,
    [property: JsonPropertyName("client-certificate-data")] string? ClientCertificateData,
    [property: JsonPropertyName("client-key")] string? ClientKey,
    [property: JsonPropertyName("client-key-data")] string? ClientKeyData,
    JsonElement? Exec,
    [property: JsonPropertyName("auth-provider")] JsonElement? AuthProvider,
    string? Username);

/// <summary>Which user at which cluster.</summary>
internal sealed record KubeconfigContext(
    [property: JsonPropertyName("cluster")] string? ClusterName,
    [property: JsonPropertyName("user")] string? UserName);

/// <summary>Readers for these, made at build time.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ApiStatus))]
[JsonSerializable(typeof(ApiList))]
[JsonSerializable(typeof(ApiWatchEvent))]
[JsonSerializable(typeof(ApiObject))]
[JsonSerializable(typeof(KubeconfigFile))]
internal sealed partial class ApiJson : JsonSerializerContext;
