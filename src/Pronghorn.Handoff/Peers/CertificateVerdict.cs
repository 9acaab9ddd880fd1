// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.Linq;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Pronghorn.Handoff.Configuration;

namespace Pronghorn.Handoff.Peers;

/// <summary>Whether a certificate is one of the authority's, and if not, why: three mistakes must not look as one.</summary>
internal static class CertificateVerdict
{
    private const string Clock = "that is not now by this node's clock, or its authority's time is over";

    /// <summary>The verdict about one that another authority has signed.</summary>
    internal const string Foreign = "is not signed by this node's authority";

    /// <summary>Judges what another daemon has shown.</summary>
    /// <param name="certificate">The certificate; null for none.</param>
    /// <param name="errors">
    /// What the platform says. Its word about the name counts; that about the chain does not, as it does not know the authority.
    /// </param>
    /// <param name="name">The name that it should have; null for any.</param>
    /// <param name="authority">Who must have signed it.</param>
    /// <returns>Null when it is trusted, else why not, as the end of a sentence.</returns>
    internal static string? Judge(X509Certificate? certificate, SslPolicyErrors errors, string? name, X509Certificate2 authority)
    {
        if (certificate is null)
        {
            return "it shows no certificate";
        }

        using var shown = new X509Certificate2(certificate);
        return JudgeChain(shown, authority) is { } fault
            ? $"its certificate, for \"{NameOf(shown)}\", {fault}{(fault == Foreign ? " (or its preshared_key is another)" : "")}"
            : errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch)
            ? $"its certificate is for \"{NameOf(shown)}\", and a peer \"{name}\" is expected there"
            : null;
    }

    /// <summary>Judges a certificate by itself.</summary>
    /// <returns>Null when it is the authority's and valid now, else what is wrong with it, as the end of a sentence about it.</returns>
    internal static string? JudgeChain(X509Certificate2 certificate, X509Certificate2 authority)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(authority);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;

        // Who is not known yet must not have this node fetch what a certificate names.
        chain.ChainPolicy.DisableCertificateDownloads = true;
        bool isBuilt = chain.Build(certificate);
        if (isBuilt && chain.ChainElements.Any(element =>
            element.Certificate.RawDataMemory.Span.SequenceEqual(authority.RawDataMemory.Span)))
        {
            return null;
        }

        X509ChainStatusFlags faults = chain.ChainStatus.Aggregate(
            X509ChainStatusFlags.NoError, static (all, one) => all | one.Status);
        const X509ChainStatusFlags NotOurs =
            X509ChainStatusFlags.PartialChain | X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.NotSignatureValid;
        return isBuilt || (faults & NotOurs) != 0
            ? Foreign
            : faults.HasFlag(X509ChainStatusFlags.NotTimeValid)
            ? string.Create(
                CultureInfo.InvariantCulture,
                $"is good from {certificate.NotBefore.ToUniversalTime():u} to {certificate.NotAfter.ToUniversalTime():u}: {Clock}")
            : "is not good: " + string.Join("; ", chain.ChainStatus.Select(static status => status.StatusInformation.Trim()));
    }

    /// <summary>The name that a certificate is for, as it is printed.</summary>
    internal static string NameOf(X509Certificate2 certificate) =>
        ShownText.Of(certificate.GetNameInfo(X509NameType.SimpleName, forIssuer: false));
}
