// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
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
    private static readonly List<SslApplicationProtocol> s_protocols = [new("pronghorn-handoff/2")];

    /// <summary>Authenticates the daemon that was connected to, by its name.</summary>
    /// <exception cref="AuthenticationException">It is not who it should be.</exception>
    public async Task<SslStream> ConnectAsync(Stream stream, string name, CancellationToken cancellation)
    {
        var secure = new SslStream(stream);
        await secure.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions
            {
                TargetHost = name,
                ApplicationProtocols = s_protocols,
                ClientCertificates = [own],
                EnabledSslProtocols = SslProtocols.Tls13,
                RemoteCertificateValidationCallback = (_, certificate, _, errors) => IsTrusted(certificate, errors),
            },
            cancellation);
        return secure;
    }

    /// <summary>Authenticates a daemon that has connected.</summary>
    /// <returns>The stream, and the name in its certificate.</returns>
    /// <exception cref="AuthenticationException">It has no certificate of the authority's.</exception>
    public async Task<(SslStream Stream, string Name)> AcceptAsync(Stream stream, CancellationToken cancellation)
    {
        var secure = new SslStream(stream);
        await secure.AuthenticateAsServerAsync(
            new SslServerAuthenticationOptions
            {
                ServerCertificate = own,
                ApplicationProtocols = s_protocols,
                ClientCertificateRequired = true,
                EnabledSslProtocols = SslProtocols.Tls13,
                RemoteCertificateValidationCallback = (_, certificate, _, errors) => IsTrusted(certificate, errors),
            },
            cancellation);
        using var shown = new X509Certificate2(secure.RemoteCertificate!);
        return (secure, shown.GetNameInfo(X509NameType.SimpleName, forIssuer: false));
    }

    // The platform's own chain does not know the authority; its verdict about the name counts, that about the chain is made here.
    private bool IsTrusted(X509Certificate? certificate, SslPolicyErrors errors)
    {
        if (certificate is null || (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) != SslPolicyErrors.None)
        {
            return false;
        }

        using var shown = new X509Certificate2(certificate);
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(authority);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        return chain.Build(shown) && chain.ChainElements.Any(element => element.Certificate.RawDataMemory.Span.SequenceEqual(
            authority.RawDataMemory.Span));
    }
}
