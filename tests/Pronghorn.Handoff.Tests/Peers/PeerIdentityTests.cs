// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Pronghorn.Handoff.Configuration;
using Pronghorn.Handoff.Peers;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
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

    [Fact]
    public void CertificateOfAnotherAuthority_IsRefused()
    {
        using var others = new TestCertificates();
        using X509Certificate2 foreign = others.Issue("edge-1", isExportable: true);

        Assert.Contains("edge-1.pem is not signed by this node's authority", RefusalOf(foreign), StringComparison.Ordinal);
    }

    [Fact]
    public void CertificateWhoseTimeIsOver_IsSaid_AndKeepsNoDaemonFromStarting()
    {
        using X509Certificate2 old = _certificates.Issue("edge-1", isExportable: true, TimeSpan.FromMinutes(-1));
        using X509Certificate2 good = _certificates.Issue("edge-1", isExportable: true);

        Assert.Contains("edge-1.pem is good from", PeerIdentity.Read(Configuration(old)).OwnFault, StringComparison.Ordinal);
        Assert.Null(PeerIdentity.Read(Configuration(good)).OwnFault);
    }

    [Fact]
    public void CertificateOfAPeer_IsNotTakenForOnesOwn()
    {
        using X509Certificate2 peers = _certificates.Issue("edge-2", isExportable: true);

        Assert.Contains("this node would be \"edge-2\", and that is a peer", RefusalOf(peers), StringComparison.Ordinal);
    }

    private string RefusalOf(X509Certificate2 own) =>
        Assert.Throws<HandoffConfigurationException>(() => PeerIdentity.Read(Configuration(own))).Message;

    private HandoffConfiguration Configuration(X509Certificate2 own) => new()
    {
        Certificate = Write("edge-1.pem", own.ExportCertificatePem()),
        Key = Write("edge-1.key", own.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem()),
        Authority = Write("authority.pem", _certificates.Authority.ExportCertificatePem()),
        Peers = [new HandoffPeer("edge-2", new TcpEnd(IpAddress.Parse("192.0.2.2"), 1950))],
    };

    private string Write(string name, string text)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllText(path, text);
        return path;
    }
}
