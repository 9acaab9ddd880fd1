// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Globalization;
using System.Linq;
using System.Net;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Configuration;

/// <summary>Reads the lines of a configuration.</summary>
internal sealed class ConfigurationReader(string path)
{
    private const int FewestPort = 1024;
    private const int DefaultPort = 1950;
    private const int MostLocal = 2;
    private const int MostService = 16; // The size of handoff_shared in bpf/common/handoff_maps.h.

    private readonly Dictionary<string, int> _seen = new(StringComparer.Ordinal);
    private readonly List<(int Line, string Value)> _peers = [];
    private int _line;

    internal HandoffConfiguration Read(string text)
    {
        var configuration = new HandoffConfiguration();
        foreach (string raw in text.Split('\n'))
        {
            _line++;
            string line = raw.Split('#')[0].Trim();
            if (line.Length == 0)
            {
                continue;
            }

            // Here and not where a value is shown: paths and names are in what others say as well.
            if (ShownText.HasControl(line))
            {
                throw Wrong($"{ShownText.Quote(line)} has control characters; is this a configuration?");
            }

            int equals = line.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
            {
                throw Wrong($"{ShownText.Quote(line)} is not \"key = value\"");
            }

            string key = line[..equals].Trim();
            string value = line[(equals + 1)..].Trim();
            if (key != "peer" && !_seen.TryAdd(key, _line))
            {
                throw Wrong($"{key} is in line {_seen[key]} already");
            }

            configuration = Apply(configuration, key, value);
        }

        return Finish(configuration);
    }

    private HandoffConfiguration Apply(HandoffConfiguration configuration, string key, string value)
    {
        switch (key)
        {
            case "svcWorkerNum":
                return configuration with { WorkerCount = Number(key, value, 1, 512) };
            case "port":
                return configuration with { Port = Number(key, value, FewestPort, ushort.MaxValue) };
            case "local_ip":
                return configuration with { LocalAddresses = Addresses(key, value, MostLocal) };
            case "service_ip":
                return configuration with { ServiceAddresses = Addresses(key, value, MostService) };
            case "peer":
                // A peer without a port has this daemon's, which may stand further down.
                _peers.Add((_line, value));
                return configuration;
            case "interface":
                return configuration with { Interface = Text(key, value) };
            case "socket_directory":
                return configuration with { SocketDirectory = AbsolutePath(key, value) };
            case "certificate":
                return configuration with { Certificate = AbsolutePath(key, value) };
            case "key":
                return configuration with { Key = AbsolutePath(key, value) };
            case "authority":
                return configuration with { Authority = AbsolutePath(key, value) };
            case "preshared_key":
                return configuration with { PresharedKey = AbsolutePath(key, value) };
            case "name":
                return configuration with { Name = NodeName(key, value) };
            case "held_megabytes":
                return configuration with { HeldMegabytes = Number(key, value, 1, 1024) };
            case "max_connections":
                return configuration with { MaximumConnections = Number(key, value, 1, 1_000_000) };
            case "metrics":
                return configuration with { Metrics = EndPoint(key, value) };
            case "worker_group":
                return configuration with { WorkerGroup = Text(key, value) };
            case "worker_moves_per_second":
                return configuration with { WorkerMovesPerSecond = Number(key, value, 1, 1_000_000) };
            case "peer_timeout":
                return configuration with { PeerTimeout = Number(key, value, 5, 3600) };
            default:
                throw Wrong($"there is no key {ShownText.Quote(key)}; there are svcWorkerNum, port, local_ip, service_ip, peer, "
                    + "interface, socket_directory, certificate, key, authority, preshared_key, name, held_megabytes, "
                    + "max_connections, metrics, worker_group, worker_moves_per_second and peer_timeout");
        }
    }

    private HandoffConfiguration Finish(HandoffConfiguration configuration)
    {
        if (configuration.LocalAddresses.IsEmpty)
        {
            throw new HandoffConfigurationException(
                $"{path}: local_ip is missing: one or two addresses of this node, as \"local_ip = 10.0.0.2\"");
        }

        CheckAuthentication(configuration);
        ImmutableArray<HandoffPeer>.Builder peers = ImmutableArray.CreateBuilder<HandoffPeer>(_peers.Count);
        foreach ((int line, string value) in _peers)
        {
            _line = line;
            HandoffPeer peer = Peer(value, configuration);
            if (peers.Any(other => other.Name == peer.Name || other.Addresses.Intersect(peer.Addresses).Any()))
            {
                throw Wrong($"peer {ShownText.Of(peer.Name)} at {peer.Daemon} is there twice, by its name or its address");
            }

            peers.Add(peer);
        }

        configuration = configuration with { Peers = peers.ToImmutable() };
        CheckServiceAddresses(configuration);
        return configuration;
    }

    // A connection that has not moved is reached by an address of its node's own, of the same family.
    private void CheckServiceAddresses(HandoffConfiguration configuration)
    {
        foreach (IpAddress service in configuration.ServiceAddresses)
        {
            bool HasFamily(ImmutableArray<IpAddress> addresses) => addresses.Any(address => address.IsIpv4 == service.IsIpv4);

            string? lacking = !HasFamily(configuration.LocalAddresses) ? "local_ip"
                : configuration.Peers.FirstOrDefault(peer => !HasFamily(peer.Addresses)) is { } peer
                ? $"peer {ShownText.Of(peer.Name)}" : null;
            if (lacking is not null)
            {
                throw new HandoffConfigurationException(
                    $"{path}: service_ip has {service}, and {lacking} has no address of that family, by which its connections are reached");
            }
        }
    }

    private void CheckAuthentication(HandoffConfiguration configuration)
    {
        string[] files = [configuration.Certificate, configuration.Key, configuration.Authority];
        bool hasFiles = files.Any(static file => file.Length > 0);
        if (hasFiles && files.Any(static file => file.Length == 0))
        {
            throw new HandoffConfigurationException($"{path}: certificate, key and authority belong together; one of them is missing");
        }

        if (hasFiles && configuration.PresharedKey.Length > 0)
        {
            throw new HandoffConfigurationException($"{path}: there are both certificates and a preshared_key; take one of them out");
        }

        if (hasFiles && configuration.Name.Length > 0)
        {
            throw new HandoffConfigurationException($"{path}: name belongs to preshared_key; with certificates it is in the certificate");
        }
    }

    private HandoffPeer Peer(string value, HandoffConfiguration configuration)
    {
        string[] words = value.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        bool hasPort = words.Length > 2 && words[^1].All(char.IsAsciiDigit);
        string[] addresses = words.Length > 1 ? words[1..(hasPort ? ^1 : ^0)] : [];
        IpAddress[] parsed = new IpAddress[addresses.Length];
        for (int i = 0; i < addresses.Length; i++)
        {
            if (!IpAddress.TryParse(addresses[i], out parsed[i]) || addresses.Length > 2)
            {
                addresses = [];
            }
        }

        if (addresses.Length == 0)
        {
            throw Wrong($"{ShownText.Quote(value)} is not \"NAME ADDRESS [SECOND-ADDRESS] [PORT]\", as \"peer = edge-2 10.0.0.3\"");
        }

        int port = hasPort
            ? Number("peer's port", words[^1], FewestPort, ushort.MaxValue)
            : _seen.ContainsKey("port") ? configuration.Port : DefaultPort;
        return parsed.Any(address => configuration.LocalAddresses.Contains(address)) && port == configuration.Port
            ? throw Wrong($"peer {ShownText.Of(words[0])} is this node itself")
            : new HandoffPeer(words[0], new TcpEnd(parsed[0], (ushort)port)) { Addresses = [.. parsed] };
    }

    private ImmutableArray<IpAddress> Addresses(string key, string value, int most)
    {
        string[] words = value.Split([' ', '\t', ','], StringSplitOptions.RemoveEmptyEntries);
        if (words.Length < 1 || words.Length > most)
        {
            throw Wrong(string.Create(CultureInfo.InvariantCulture, $"{key} has {words.Length} addresses; 1 to {most} are allowed"));
        }

        ImmutableArray<IpAddress> addresses =
        [
            .. words.Select(word => IpAddress.TryParse(word, out IpAddress address) && !address.IsAny && !address.IsMulticast
                ? address
                : throw Wrong($"{key}: {ShownText.Quote(word)} is not an address that a node can have")),
        ];
        return addresses.Distinct().Count() == addresses.Length ? addresses : throw Wrong($"{key} has one address twice");
    }

    private int Number(string key, string value, int fewest, int most) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number >= fewest && number <= most
            ? number
            : throw Wrong(string.Create(
                CultureInfo.InvariantCulture, $"{key} is {ShownText.Quote(value)}; it must be a whole number from {fewest} to {most}"));

    // It is in a certificate: at most 64 characters (RFC 5280, ub-common-name), and no address, which would be compared otherwise.
    private string NodeName(string key, string value) => HandoffConfiguration.IsNodeName(value)
        ? value
        : throw Wrong($"{key} is {ShownText.Quote(value)}; it must be 1 to 64 letters, digits, '-', '_' and '.', and not an address");

    // With a port: IPEndPoint takes an address alone too.
    private IPEndPoint EndPoint(string key, string value) => IPEndPoint.TryParse(value, out IPEndPoint? end) && end.Port != 0
        ? end
        : throw Wrong($"{key} is {ShownText.Quote(value)}; it must be ADDRESS:PORT, as 127.0.0.1:9951 or [::1]:9951");

    private string Text(string key, string value) => value.Length > 0 ? value : throw Wrong($"{key} is empty");

    private string AbsolutePath(string key, string value) => value.StartsWith('/')
        ? value
        : throw Wrong($"{key} is {ShownText.Quote(value)}; it must be a path from the root, as /etc/tcpm/{key}.pem");

    private HandoffConfigurationException Wrong(string message) =>
        new(string.Create(CultureInfo.InvariantCulture, $"{path}:{_line}: {message}"));
}
