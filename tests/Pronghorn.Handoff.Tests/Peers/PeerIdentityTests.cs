// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Pronghorn.Handoff.Configuration;
using Pronghorn.Handoff.Peers;
using Xunit;

namespace Pronghorn.Handoff.Tests.Peers;

public sealed class PeerIdentityTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tcpm-identity-").FullName;
    private readonly TestCertificates _certificates = new();

    public void Dispose()
    {
        _certificates.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void KeyOfAnotherCertificate_IsNamed()
    {
        using X509Certificate2 own = _certificates.Issue("edge-1");
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var configuration = new HandoffConfiguration
        {
            Certificate = Write("edge-1.pem", own.ExportCertificatePem()),
            Key = Write("edge-2.key", other.ExportPkcs8PrivateKeyPem()),
            Authority = Write("authority.pem", _certificates.Authority.ExportCertificatePem()),
        };
        HandoffConfigurationException wrong = Assert.Throws<HandoffConfigurationException>(() => PeerIdentity.Read(configuration));
        Assert.Contains(configuration.Key, wrong.Message, StringComparison.Ordinal);
    }

    private string Write(string name, string text)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, text);
        return path;
    }
}
