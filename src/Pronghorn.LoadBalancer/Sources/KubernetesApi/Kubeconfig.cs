// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using Pronghorn.LoadBalancer.Sources.Manifests;

namespace Pronghorn.LoadBalancer.Sources.KubernetesApi;

/// <summary>Access by a kubeconfig file (Kubernetes: Organizing Cluster Access Using kubeconfig Files).</summary>
public static class Kubeconfig
{
    /// <summary>Reads a file; paths in it are relative to it.</summary>
    /// <param name="path">The file.</param>
    /// <param name="context">Name of the context; null: the file's current one.</param>
    /// <exception cref="ApiAccessException">It cannot be read, or names something that is not there or not supported.</exception>
    public static ApiServerAccess Read(string path, string? context = null)
    {
        KubeconfigFile file = Load(path);
        string name = context ?? file.CurrentContext ?? "";
        if (name.Length == 0)
        {
            throw new ApiAccessException($"{path}: current-context: is not set; set it, or name a context");
        }

        KubeconfigContext chosen = Find(file.Contexts, name, path, "contexts");
        KubeconfigCluster cluster = Find(file.Clusters, chosen.ClusterName ?? "", path, "clusters");
        KubeconfigUser user = Find(file.Users, chosen.UserName ?? "", path, "users");
        Refuse(path, user);
        if (!Uri.TryCreate(cluster.Server, UriKind.Absolute, out Uri? server) || server.Scheme is not ("https" or "http"))
        {
            throw new ApiAccessException($"{path}: clusters: server: \"{cluster.Server}\" is not a URL such as https://10.0.0.1:6443");
        }

        string folder = Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/";
        return new ApiServerAccess
        {
            Server = server.AbsolutePath.EndsWith('/') ? server : new Uri(server.AbsoluteUri + "/"),
            CertificateAuthority =
                Pem(path, folder, "certificate-authority", cluster.CertificateAuthority, cluster.CertificateAuthorityData),
            ServerName = cluster.TlsServerName,
            SkipsVerification = cluster.InsecureSkipTlsVerify,
            ClientCertificate = Pem(path, folder, "client-certificate", user.ClientCertificate, user.ClientCertificateData),
            ClientKey = Pem(path, folder, "client-key", user.ClientKey, user.ClientKeyData),
            Token = user.Token,
            TokenFile = user.TokenFile is null ? null : Path.Combine(folder, user.TokenFile),
        };
    }

    private static KubeconfigFile Load(string path)
    {
        try
        {
            IReadOnlyList<ManifestDocument> documents = YamlDocuments.Read(File.ReadAllText(path));
            return (documents.Count > 0 ? JsonSerializer.Deserialize(documents[0].Json.Span, ApiJson.Default.KubeconfigFile) : null)
                ?? throw new ApiAccessException($"{path}: is empty");
        }
        catch (ManifestException exception)
        {
            throw new ApiAccessException($"{path}:{exception.Line}: {exception.Message}", exception);
        }
        catch (JsonException exception)
        {
            throw new ApiAccessException($"{path}: {exception.Path}: not what a kubeconfig has here", exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ApiAccessException($"{path}: {exception.Message}", exception);
        }
    }

    private static T Find<T>(IReadOnlyList<KubeconfigNamed<T>>? list, string name, string path, string field)
        where T : class =>
        list?.FirstOrDefault(item => item.Name == name)?.Value
            ?? throw new ApiAccessException($"{path}: {field}: there is none named \"{name}\"");

    private static void Refuse(string path, KubeconfigUser user)
    {
        if (user.Exec is not null || user.AuthProvider is not null || user.Username is not null)
        {
            throw new ApiAccessException($"{path}: users: exec, auth-provider and username are not supported; "
                + "use a token, a tokenFile or a client certificate (a service account's token will do)");
        }
    }

    private static PemSource? Pem(string path, string folder, string field, string? file, string? data)
    {
        if (data is null)
        {
            return file is null ? null : new PemSource(Path.Combine(folder, file), null);
        }

        try
        {
            return new PemSource(null, Encoding.UTF8.GetString(Convert.FromBase64String(data)));
        }
        catch (FormatException exception)
        {
            throw new ApiAccessException($"{path}: {field}-data: is not base64", exception);
        }
    }
}
