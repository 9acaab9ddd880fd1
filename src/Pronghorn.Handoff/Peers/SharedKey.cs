// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Linq;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Pronghorn.Handoff.Configuration;
using Pronghorn.Linux.Files;

namespace Pronghorn.Handoff.Peers;

/// <summary>
/// A key that all nodes have instead of certificates. The private key of an authority is derived from it, the same on each node, and
/// each daemon signs a certificate for itself: from there on everything is as with certificates of files.
/// </summary>
/// <remarks>
/// SslStream has no pre-shared keys of TLS 1.3's own. What is the same: who knows the key can be any node, and who does not cannot sign.
/// What is better: both sides always exchange keys by (EC)DHE, so that a key that leaks later opens no stream that was recorded. Recorded
/// or active, an attacker can test guesses of the key against a certificate: that is why it must be random, and of 256 bits.
/// </remarks>
public static class SharedKey
{
    /// <summary>Fewest bytes of a key.</summary>
    public const int FewestBytes = 32;

    private const int LargestFile = 4096;
    private const int ScalarBytes = 32;
    private const int SerialBytes = 16;
    private const string Advice = "make one with: (umask 077; openssl rand -hex 32 > FILE), and copy it to all nodes";
    private const string AuthorityName = "CN=pronghorn handoff";
    private const UnixFileMode OfOthers =
        UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute
        | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    // Its name is in what is derived: the same key used for something else gives nothing away about this.
    private static ReadOnlySpan<byte> Purpose => "pronghorn handoff authority P-256"u8;

    // Order of the group, SEC 2 section 2.4.2.
    private static ReadOnlySpan<byte> Order =>
    [
        0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
        0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
    ];

    // Clocks of nodes may be wrong, and there is nothing that a validity would protect: a certificate is good for whoever has its private
    // key, which is in no file and ends with the process. RFC 5280 section 4.1.2.5 has the second date for "no end".
    private static DateTimeOffset Begin => DateTimeOffset.UnixEpoch;

    private static DateTimeOffset End => new(9999, 12, 31, 23, 59, 59, TimeSpan.Zero);

    /// <summary>Reads a key.</summary>
    /// <param name="path">A file of hex digits that its owner alone may read.</param>
    /// <exception cref="HandoffConfigurationException">It is none; the message says what to do.</exception>
    public static byte[] Read(string path)
    {
        try
        {
            using SafeFileHandle file = File.OpenHandle(path);
            if ((File.GetUnixFileMode(file) & OfOthers) != 0)
            {
                throw new HandoffConfigurationException(
                    $"preshared_key: {path} may be used by others than its owner, who could be any node then; chmod 600 {path}");
            }

            byte[] content = new byte[LargestFile + 1];
            int length = RandomAccess.Read(file, content, 0);
            string text = string.Concat(Encoding.Latin1.GetString(content, 0, length).Where(static one => !char.IsWhiteSpace(one)));
            CryptographicOperations.ZeroMemory(content);
            return length > LargestFile || text.Length % 2 != 0 || !text.All(char.IsAsciiHexDigit)
                ? throw new HandoffConfigurationException(
                    $"preshared_key: {path} is not an even number of hex digits, at most {LargestFile}; {Advice}")
                : text.Length < FewestBytes * 2
                ? throw new HandoffConfigurationException(
                    $"preshared_key: {path} has {text.Length} hex digits; {FewestBytes * 2} are needed: a short key can be guessed; "
                    + Advice)
                : Convert.FromHexString(text);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new HandoffConfigurationException($"preshared_key: {path}: {FileFailure.Describe(path, failure)}; {Advice}", failure);
        }
    }

    /// <summary>What a node of a name shows the others, and what it believes of them.</summary>
    /// <param name="key">The key.</param>
    /// <param name="name">The node's name, under which the others have it as a peer.</param>
    public static PeerAuthentication Authenticate(ReadOnlySpan<byte> key, string name)
    {
        (X509Certificate2 own, X509Certificate2 authority) = MakeCertificates(key, name);
        return new PeerAuthentication(own, authority);
    }

    /// <summary>A node's certificate with its private key, and the authority's without.</summary>
    internal static (X509Certificate2 Own, X509Certificate2 Authority) MakeCertificates(ReadOnlySpan<byte> key, string name)
    {
        using ECDsa signing = Derive(key);
        using X509Certificate2 authority = MakeAuthority(signing);
        return (Issue(authority, name), X509CertificateLoader.LoadCertificate(authority.RawData));
    }

    /// <summary>The scalar of the authority's private key: the first of HKDF-SHA256's, by counter, that is one of the group.</summary>
    internal static byte[] DeriveScalar(ReadOnlySpan<byte> key)
    {
        // One in 2^32 is not: then the next is taken. Reduced modulo the order it would be a little uneven.
        byte[] scalar = new byte[ScalarBytes];
        Span<byte> info = stackalloc byte[Purpose.Length + 1];
        Purpose.CopyTo(info);
        do
        {
            info[^1]++;
            HKDF.DeriveKey(HashAlgorithmName.SHA256, key, scalar, default, info);
        }
        while (!IsScalar(scalar));
        return scalar;
    }

    /// <summary>Whether a number is a private key: from 1 to the group's order less 1.</summary>
    internal static bool IsScalar(ReadOnlySpan<byte> number) =>
        number.ContainsAnyExcept((byte)0) && number.SequenceCompareTo(Order) < 0;

    private static ECDsa Derive(ReadOnlySpan<byte> key)
    {
        byte[] scalar = DeriveScalar(key);
        try
        {
            return ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, D = scalar });
        }
        finally
        {
            CryptographicOperations.ZeroMemory(scalar);
        }
    }

    // Each node's differs in its signature alone, which nobody looks at: a chain is built from the other's certificate to one's own
    // authority, that has the same name and the same public key.
    private static X509Certificate2 MakeAuthority(ECDsa signing)
    {
        var request = new CertificateRequest(AuthorityName, signing, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        using X509Certificate2 bare = request.Create(
            request.SubjectName, X509SignatureGenerator.CreateForECDsa(signing), Begin, End, [1]);
        return bare.CopyWithPrivateKey(signing);
    }

    private static X509Certificate2 Issue(X509Certificate2 authority, string name)
    {
        using var own = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=" + name, own, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromCertificate(authority, true, false));

        // A daemon is a server to those that connect to it, and a client of the others.
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension(
            [new Oid("1.3.6.1.5.5.7.3.1"), new Oid("1.3.6.1.5.5.7.3.2")], critical: false));
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        request.CertificateExtensions.Add(names.Build());

        // Random: one authority that is in many places has no other way to give each certificate a number of its own.
        byte[] serial = RandomNumberGenerator.GetBytes(SerialBytes);
        using X509Certificate2 bare = request.Create(authority, Begin, End, serial);
        using X509Certificate2 whole = bare.CopyWithPrivateKey(own);

        // SslStream does not use a key that is in memory only as it was made.
        return X509CertificateLoader.LoadPkcs12(whole.Export(X509ContentType.Pkcs12), null);
    }
}
