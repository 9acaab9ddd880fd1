// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.LoadBalancer.Sources.KubernetesApi;

/// <summary>PEM text that is in a file, read again when it changes, or given as it is.</summary>
/// <param name="File">Path; null if <paramref name="Text"/> is given.</param>
/// <param name="Text">The text itself; null if it is in a file.</param>
public sealed record PemSource(string? File, string? Text);

/// <summary>Where an API server is and how to show who we are.</summary>
public sealed record ApiServerAccess
{
    /// <summary>https://host:port, and a path if the server is behind one.</summary>
    public required Uri Server { get; init; }

    /// <summary>Who must have signed the server's certificate; null: the system's authorities.</summary>
    public PemSource? CertificateAuthority { get; init; }

    /// <summary>Name in the server's certificate, where it is not the host's; null: the host's.</summary>
    public string? ServerName { get; init; }

    /// <summary>Whether any certificate will do: for trying out only.</summary>
    public bool SkipsVerification { get; init; }

    /// <summary>Our certificate; null: none.</summary>
    public PemSource? ClientCertificate { get; init; }

    /// <summary>Its key; null: none.</summary>
    public PemSource? ClientKey { get; init; }

    /// <summary>A bearer token that does not change; null: none.</summary>
    public string? Token { get; init; }

    /// <summary>A file with a bearer token, which the kubelet renews; null: none.</summary>
    public string? TokenFile { get; init; }
}
