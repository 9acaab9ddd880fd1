// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Pronghorn.Lab.Cdn.Network;

/// <summary>Certificates of the edges and their authority, for a month.</summary>
internal static class CdnCertificates
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Writes authority.pem, and NAME.pem and NAME.key for each name.</summary>
    internal static void Write(string folder, IEnumerable<string> names)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=authority", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        DateTimeOffset from = DateTimeOffset.UtcNow.AddHours(-1);
        DateTimeOffset until = from.AddDays(30);
        using X509Certificate2 authority = request.CreateSelfSigned(from, until);
        File.WriteAllText(Path.Combine(folder, "authority.pem"), authority.ExportCertificatePem());
        foreach (string name in names)
        {
            using var own = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var node = new CertificateRequest("CN=" + name, own, HashAlgorithmName.SHA256);
            var alternatives = new SubjectAlternativeNameBuilder();
            alternatives.AddDnsName(name);
            node.CertificateExtensions.Add(alternatives.Build());
            byte[] serial = RandomNumberGenerator.GetBytes(8);
            using X509Certificate2 signed = node.Create(authority, from.AddSeconds(1), until.AddSeconds(-1), serial);
            File.WriteAllText(Path.Combine(folder, name + ".pem"), signed.ExportCertificatePem());
            string file = Path.Combine(folder, name + ".key");
            File.WriteAllText(file, own.ExportPkcs8PrivateKeyPem());
            File.SetUnixFileMode(file, OwnerOnly);
        }
    }
}
