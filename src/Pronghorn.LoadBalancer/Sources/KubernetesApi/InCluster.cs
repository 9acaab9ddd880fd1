// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;

namespace Pronghorn.LoadBalancer.Sources.KubernetesApi;

/// <summary>Access from inside a pod, by its service account (Kubernetes: Accessing the API from a Pod).</summary>
public static class InCluster
{
    private const string Folder = "/var/run/secrets/kubernetes.io/serviceaccount";

    /// <summary>Whether this looks like a pod with a service account.</summary>
    public static bool IsAvailable =>
        Environment.GetEnvironmentVariable("KUBERNETES_SERVICE_HOST") is { Length: > 0 } && File.Exists($"{Folder}/token");

    /// <summary>Reads the environment.</summary>
    /// <exception cref="ApiAccessException">This is no pod, or it has no service account.</exception>
    public static ApiServerAccess Read()
    {
        string? host = Environment.GetEnvironmentVariable("KUBERNETES_SERVICE_HOST");
        string port = Environment.GetEnvironmentVariable("KUBERNETES_SERVICE_PORT") ?? "443";
        if (string.IsNullOrEmpty(host))
        {
            throw new ApiAccessException(
                "KUBERNETES_SERVICE_HOST is not set, so this is not a pod; give --kubeconfig FILE or --manifests DIRECTORY");
        }

        if (!File.Exists($"{Folder}/token"))
        {
            throw new ApiAccessException($"{Folder}/token is not there; the pod needs a service account (automountServiceAccountToken)");
        }

        // An IPv6 address stands in brackets in a URI.
        string authority = host.Contains(':', StringComparison.Ordinal) ? $"[{host}]:{port}" : $"{host}:{port}";
        return new ApiServerAccess
        {
            Server = new Uri($"https://{authority}/"),
            CertificateAuthority = new PemSource($"{Folder}/ca.crt", null),
            TokenFile = $"{Folder}/token",
        };
    }
}
