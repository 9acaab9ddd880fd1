// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Threading;

namespace Pronghorn.LoadBalancer.Sources.KubernetesApi;

/// <summary>Certificates and token of an access, read again when their files change: they are renewed while we run.</summary>
internal sealed class ApiCredentials(ApiServerAccess access)
{
    private readonly Lock _lock = new();
    private X509Certificate2? _certificate;
    private (DateTime Certificate, DateTime Key) _certificateTimes;

    /// <summary>The bearer token of now; null: none.</summary>
    /// <exception cref="ApiAccessException">Its file cannot be read.</exception>
    public string? ReadToken()
    {
        if (access.TokenFile is null)
        {
            return access.Token;
        }

        try
        {
            // A file of a kilobyte, once a request: requests are rare (a watch is one), and a renewed token counts at once.
            return File.ReadAllText(access.TokenFile).Trim();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ApiAccessException($"token: {exception.Message}", exception);
        }
    }

    /// <summary>What TLS needs.</summary>
    public SslClientAuthenticationOptions CreateTlsOptions()
    {
        var options = new SslClientAuthenticationOptions { TargetHost = access.ServerName ?? access.Server.Host };
        if (access.ClientCertificate is not null)
        {
            options.LocalCertificateSelectionCallback = (_, _, _, _, _) => ReadCertificate()!;
        }

        options.RemoteCertificateValidationCallback = (_, certificate, _, errors) => Validate(certificate as X509Certificate2, errors);
        return options;
    }

    private static string Read(PemSource source) => source.Text ?? File.ReadAllText(source.File!);

    private static DateTime TimeOf(PemSource source) => source.File is null ? default : File.GetLastWriteTimeUtc(source.File);

    private X509Certificate2? ReadCertificate()
    {
        if (access.ClientCertificate is null || access.ClientKey is null)
        {
            return null;
        }

        lock (_lock)
        {
            (DateTime, DateTime) times = (TimeOf(access.ClientCertificate), TimeOf(access.ClientKey));
            if (_certificate is null || times != _certificateTimes)
            {
                try
                {
                    _certificate = X509Certificate2.CreateFromPem(Read(access.ClientCertificate), Read(access.ClientKey));
                    _certificateTimes = times;
                }
                catch (Exception exception) when (exception is IOException or CryptographicException && _certificate is not null)
                {
                    // The two files are not renewed in one step: until they fit each other, the old pair serves.
                }
            }

            return _certificate;
        }
    }

    private bool Validate(X509Certificate2? certificate, SslPolicyErrors errors)
    {
        if (access.SkipsVerification)
        {
            return true;
        }

        // The name is checked here: HttpClient always asks for that of the URL, which may be a bare address.
        if (certificate is null || !certificate.MatchesHostname(access.ServerName ?? access.Server.Host))
        {
            return false;
        }

        if (access.CertificateAuthority is null)
        {
            return (errors & SslPolicyErrors.RemoteCertificateChainErrors) == 0;
        }

        // Against the cluster's own authority alone: the system's have no say about an API server.
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.ImportFromPem(Read(access.CertificateAuthority));
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        return chain.Build(certificate);
    }
}
