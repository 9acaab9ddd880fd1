// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Linq;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Pronghorn.Handoff.Configuration;

namespace Pronghorn.Handoff.Peers;

/// <summary>What a daemon shows others of itself, out of the files that its configuration names.</summary>
internal static class PeerIdentity
{
    /// <exception cref="HandoffConfigurationException">A file is wrong; the message names it.</exception>
    internal static PeerAuthentication Read(HandoffConfiguration configuration) =>
        configuration.PresharedKey.Length > 0 ? ReadSharedKey(configuration) :
        configuration.Certificate.Length > 0 ? ReadCertificates(configuration) :
        throw new HandoffConfigurationException(
            "daemons speak to each other by TLS only: set certificate, key and authority, or preshared_key");

    private static PeerAuthentication ReadSharedKey(HandoffConfiguration configuration)
    {
        string name = configuration.Name.Length > 0 ? configuration.Name : Environment.MachineName;
        if (!HandoffConfiguration.IsNodeName(name))
        {
            throw new HandoffConfigurationException($"name: the host's, \"{name}\", cannot be a node's; set one, as \"name = edge-1\"");
        }

        byte[] key = SharedKey.Read(configuration.PresharedKey);
        try
        {
            AssertIsNoPeers(name, "name", configuration);
            return SharedKey.Authenticate(key, name);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key);
        }
    }

    private static PeerAuthentication ReadCertificates(HandoffConfiguration configuration)
    {
        try
        {
            using var bare = X509Certificate2.CreateFromPemFile(configuration.Certificate, configuration.Key);

            // SslStream does not use a key that is in memory only as it was read.
            X509Certificate2 own = X509CertificateLoader.LoadPkcs12(bare.Export(X509ContentType.Pkcs12), null);
            X509Certificate2 authority = X509CertificateLoader.LoadCertificateFromFile(configuration.Authority);
            string? fault = CertificateVerdict.JudgeChain(own, authority);
            if (fault == CertificateVerdict.Foreign)
            {
                throw new HandoffConfigurationException(
                    $"certificate {configuration.Certificate} {fault}; no other node would take it. authority = {configuration.Authority}");
            }

            AssertIsNoPeers(CertificateVerdict.NameOf(own), "certificate " + configuration.Certificate, configuration);

            // A clock that is wrong yet, or a time that is over: connections that have moved want a daemon all the same.
            return new PeerAuthentication(own, authority)
            {
                OwnFault = fault is null ? null : $"certificate {configuration.Certificate} {fault}; no other node takes it",
            };
        }
        catch (Exception failure) when (failure is CryptographicException or ArgumentException or IOException
            or UnauthorizedAccessException)
        {
            throw new HandoffConfigurationException(
                $"certificate {configuration.Certificate}, key {configuration.Key} or authority {configuration.Authority}: "
                + failure.Message, failure);
        }
    }

    private static void AssertIsNoPeers(string name, string what, HandoffConfiguration configuration)
    {
        if (configuration.Peers.Any(peer => peer.Name == name))
        {
            throw new HandoffConfigurationException(
                $"{what}: this node would be \"{name}\", and that is a peer; is it another node's, or the peer this node itself?");
        }
    }
}
