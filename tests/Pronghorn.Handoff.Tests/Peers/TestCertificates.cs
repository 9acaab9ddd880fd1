// SPDX-License-Identifier: Apache-2.0
using System;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Pronghorn.Handoff.Tests.Peers;

/// <summary>An authority and what it signs.</summary>
internal sealed class TestCertificates : IDisposable
{
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public TestCertificates()
    {
        var request = new CertificateRequest("CN=authority", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        Authority = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
    }

    public X509Certificate2 Authority { get; }

    /// <summary>Signs one for a name.</summary>
    /// <param name="name">The name.</param>
    /// <param name="isExportable">Whether its key may be written to a file.</param>
    /// <param name="end">When its time is over, from now; null for an hour.</param>
    /// <param name="issuerAt">Where it says that its issuer's certificate can be fetched; null for nowhere.</param>
    public X509Certificate2 Issue(string name, bool isExportable = false, TimeSpan? end = null, Uri? issuerAt = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=" + name, key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        request.CertificateExtensions.Add(names.Build());
        if (issuerAt is not null)
        {
            request.CertificateExtensions.Add(new X509AuthorityInformationAccessExtension([], [issuerAt.ToString()]));
        }

        byte[] serial = RandomNumberGenerator.GetBytes(8);
        using X509Certificate2 bare = request.Create(
            Authority, DateTimeOffset.UtcNow.AddHours(-2), DateTimeOffset.UtcNow + (end ?? TimeSpan.FromHours(1)), serial);
        using X509Certificate2 whole = bare.CopyWithPrivateKey(key);
        return X509CertificateLoader.LoadPkcs12(
            whole.Export(X509ContentType.Pkcs12), null,
            isExportable ? X509KeyStorageFlags.Exportable : X509KeyStorageFlags.DefaultKeySet);
    }

    public void Dispose()
    {
        Authority.Dispose();
        _key.Dispose();
    }
}
