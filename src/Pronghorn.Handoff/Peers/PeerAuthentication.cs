// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Threading;
using System.Threading.Tasks;

namespace Pronghorn.Handoff.Peers;

/// <summary>
/// TLS 1.3 between daemons, with certificates of both that one authority has signed: images hold what users send, and whoever may
/// talk to a daemon may give it connections.
/// </summary>
/// <param name="own">This daemon's certificate with its key.</param>
/// <param name="authority">Who signs daemons' certificates; no other is trusted, the system's neither.</param>
public sealed class PeerAuthentication(X509Certificate2 own, X509Certificate2 authority)
{
    // Version of the messages: a daemon that speaks another is told apart in the handshake (ALPN, RFC 7301).
    private static readonly List<SslApplicationProtocol> s_protocols = [new("pronghorn-handoff/3")];

    // Offline: it is all that is shown, and what it says of its issuer is not fetched.
    private readonly SslStreamCertificateContext _shown = SslStreamCertificateContext.Create(own, null, offline: true);

    /// <summary>What is wrong with this daemon's own certificate, though another time may mend it; null for nothing.</summary>
    public string? OwnFault { get; init; }

    /// <summary>Authenticates the daemon that was connected to, by its name.</summary>
    /// <exception cref="AuthenticationException">It is not who it should be; the message says why.</exception>
    public async Task<SslStream> ConnectAsync(Stream stream, string name, CancellationToken cancellation)
    {
        string? fault = null;
        var secure = new SslStream(stream);
        try
        {
            await secure.AuthenticateAsClientAsync(
                new SslClientAuthenticationOptions
                {
                    TargetHost = name,
                    ApplicationProtocols = s_protocols,
                    ClientCertificateContext = _shown,
                    EnabledSslProtocols = SslProtocols.Tls13,
                    CertificateChainPolicy = Policy(),
                    RemoteCertificateValidationCallback = (_, certificate, _, errors) =>
                        (fault = CertificateVerdict.Judge(certificate, errors, name, authority)) is null,
                },
                cancellation);
            return secure;
        }
        catch (AuthenticationException failure) when (fault is not null)
        {
            throw new AuthenticationException(fault, failure.InnerException);
        }
    }

    /// <summary>Authenticates a daemon that has connected.</summary>
    /// <returns>The stream, and the name in its certificate.</returns>
    /// <exception cref="AuthenticationException">It has no certificate of the authority's; the message says why.</exception>
    public async Task<(SslStream Stream, string Name)> AcceptAsync(Stream stream, CancellationToken cancellation)
    {
        string? fault = null;
        var secure = new SslStream(stream);
        try
        {
            await secure.AuthenticateAsServerAsync(
                new SslServerAuthenticationOptions
                {
                    ServerCertificateContext = _shown,
                    ApplicationProtocols = s_protocols,
                    ClientCertificateRequired = true,
                    EnabledSslProtocols = SslProtocols.Tls13,
                    CertificateChainPolicy = Policy(),
                    RemoteCertificateValidationCallback = (_, certificate, _, errors) =>
                        (fault = CertificateVerdict.Judge(certificate, errors, null, authority)) is null,
                },
                cancellation);
        }
        catch (AuthenticationException failure) when (fault is not null)
        {
            throw new AuthenticationException(fault, failure.InnerException);
        }

        using var shown = new X509Certificate2(secure.RemoteCertificate!);
        return (secure, shown.GetNameInfo(X509NameType.SimpleName, forIssuer: false));
    }

    // The platform looks at the chain before it is asked for a verdict here, and would fetch what a stranger's certificate names.
    private X509ChainPolicy Policy()
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            DisableCertificateDownloads = true,
        };
        policy.CustomTrustStore.Add(authority);
        return policy;
    }
}
