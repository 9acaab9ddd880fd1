// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using System.Net;
using Pronghorn.Linux.Files;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Configuration;

/// <summary>Another node.</summary>
/// <param name="Name">Its name: what its certificate says, if certificates are used.</param>
/// <param name="Daemon">Where its daemon listens.</param>
public sealed record HandoffPeer(string Name, TcpEnd Daemon)
{
    /// <summary>All its addresses, under which its clients may know it.</summary>
    public ImmutableArray<IpAddress> Addresses { get; init; } = [Daemon.Address];
}

/// <summary>
/// A daemon's configuration, /etc/tcpm/tcpm.conf: lines of "key = value", '#' begins a comment. The first three keys are those of TCPM.
/// </summary>
public sealed record HandoffConfiguration
{
    /// <summary>svcWorkerNum: workers of the service on this node, 1 to 512; each has a Unix socket of its own.</summary>
    public int WorkerCount { get; init; } = 1;

    /// <summary>port: where the daemon listens for other daemons, 1024 to 65535.</summary>
    public int Port { get; init; } = 1950;

    /// <summary>local_ip: addresses under which this node's services and its daemon are reached; one of a family.</summary>
    public ImmutableArray<IpAddress> LocalAddresses { get; init; } = [];

    /// <summary>
    /// service_ip: addresses that several nodes have, at most 16, where a balancer sends one client's packets to any of them.
    /// </summary>
    public ImmutableArray<IpAddress> ServiceAddresses { get; init; } = [];

    /// <summary>peer: the other nodes.</summary>
    public ImmutableArray<HandoffPeer> Peers { get; init; } = [];

    /// <summary>interface: by which peers and other nodes are reached; empty: that of the first local address.</summary>
    public string Interface { get; init; } = "";

    /// <summary>socket_directory: where the workers' Unix sockets are.</summary>
    public string SocketDirectory { get; init; } = "/run/tcpm";

    /// <summary>certificate, key, authority: PEM files for TLS between daemons; empty: <see cref="PresharedKey"/>.</summary>
    public string Certificate { get; init; } = "";

    /// <summary>The key of <see cref="Certificate"/>.</summary>
    public string Key { get; init; } = "";

    /// <summary>The authority that signed the other daemons' certificates.</summary>
    public string Authority { get; init; } = "";

    /// <summary>preshared_key: a file with a key that all nodes have, instead of certificates.</summary>
    public string PresharedKey { get; init; } = "";

    /// <summary>name: with <see cref="PresharedKey"/>, under which other nodes have this one as a peer; empty: the host's name.</summary>
    public string Name { get; init; } = "";

    /// <summary>held_megabytes: most memory for packets that wait during moves, 1 to 1024 MiB.</summary>
    public int HeldMegabytes { get; init; } = 16;

    /// <summary>max_connections: most connections given away and taken, each, 1 to 1,000,000: what the tables hold.</summary>
    public int MaximumConnections { get; init; } = 65_536;

    /// <summary>metrics: where /metrics is answered; null: nowhere.</summary>
    public IPEndPoint? Metrics { get; init; }

    /// <summary>worker_group: members may use the workers' sockets, besides the daemon's own user; empty: nobody else.</summary>
    public string WorkerGroup { get; init; } = "";

    /// <summary>worker_moves_per_second: most moves that each worker may ask for in a second, 1 to 1,000,000; 0: any number.</summary>
    public int WorkerMovesPerSecond { get; init; }

    /// <summary>peer_timeout: seconds for which a peer's address does not answer until what it had is given up, 5 to 3600.</summary>
    public int PeerTimeout { get; init; } = 30;

    /// <summary>Reads a file.</summary>
    /// <exception cref="HandoffConfigurationException">It cannot be read, or says something that is not allowed.</exception>
    public static HandoffConfiguration Read(string path)
    {
        try
        {
            return Parse(path, File.ReadAllText(path));
        }
        catch (Exception failure) when (failure is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new HandoffConfigurationException(
                $"{path}: there is no such file; write one, see tcpm.conf(5), or name another (--config)", failure);
        }
        catch (UnauthorizedAccessException failure) when (Directory.Exists(path))
        {
            throw new HandoffConfigurationException($"{path}: this is a folder; name the file in it (--config)", failure);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new HandoffConfigurationException($"{path}: {FileFailure.Describe(path, failure)}", failure);
        }
    }

    /// <summary>Whether a node can have a name.</summary>
    internal static bool IsNodeName(string name) => name.Length is > 0 and <= 64
        && name.All(static one => char.IsAsciiLetterOrDigit(one) || one is '-' or '_' or '.') && !IpAddress.TryParse(name, out _);

    /// <summary>Reads a file's text.</summary>
    /// <param name="path">The file's name, for messages.</param>
    /// <param name="text">Its text.</param>
    /// <exception cref="HandoffConfigurationException">It says something that is not allowed; the message has the line.</exception>
    public static HandoffConfiguration Parse(string path, string text) => new ConfigurationReader(path).Read(text);
}

/// <summary>A configuration is wrong; the message says where, what, and what is allowed.</summary>
public sealed class HandoffConfigurationException : Exception
{
    /// <summary>Makes one without a message.</summary>
    public HandoffConfigurationException()
    {
    }

    /// <summary>Makes one.</summary>
    public HandoffConfigurationException(string message)
        : base(message)
    {
    }

    /// <summary>Makes one with its cause.</summary>
    public HandoffConfigurationException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
