// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.Handoff.Daemon;
using Pronghorn.Handoff.Steering;
using Pronghorn.Handoff.Tests.Peers;
using Pronghorn.Lab;
using Pronghorn.Linux.Bpf;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>A client and three nodes, each with the daemon as it is installed and workers that use libtcpm.</summary>
public sealed class DaemonWorld : IDisposable
{
    public const int Port = 8000;
    public const int Workers = 2;

    private const int FirstNumber = 11;

    // From a node's first address to its second, which its configuration has on demand, and to its third, which none has.
    private const int BetweenAddresses = 50;

    private static readonly TimeSpan s_log = TimeSpan.FromSeconds(40);
    private static readonly TimeSpan s_connect = TimeSpan.FromSeconds(20);
    private static readonly string s_artifacts = Path.Combine(FindRoot(), "artifacts");

    private readonly BridgedHosts _hosts = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("tcpm-").FullName;
    private readonly List<Process> _processes = [];
    private readonly NetworkNamespace[] _nodes;
    private readonly Channel<string>[] _logs = [.. Enumerable.Range(0, 3).Select(static _ => Channel.CreateUnbounded<string>())];
    private readonly int _peerTimeout;
    private readonly int _addresses;

    /// <summary>Makes the hosts and the configurations.</summary>
    /// <param name="peerTimeout">peer_timeout of all daemons.</param>
    /// <param name="addresses">How many of a node's addresses the configuration has: 1 or 2.</param>
    /// <param name="isBehindCable">Whether a program carries the client's frames, and all have both families.</param>
    public DaemonWorld(int peerTimeout = 30, int addresses = 1, bool isBehindCable = false)
    {
        (_peerTimeout, _addresses) = (peerTimeout, addresses);
        if (isBehindCable)
        {
            (Client, ClientCable) = _hosts.AddBehindCable("client", 1);
        }
        else
        {
            Client = _hosts.Add("client", 1);
        }

        _nodes = [_hosts.Add("a", FirstNumber), _hosts.Add("b", FirstNumber + 1), _hosts.Add("d", FirstNumber + 2)];
        WriteCertificates();
        for (int node = 0; node < _nodes.Length; node++)
        {
            // Which moves ECN connections not, and says so.
            _nodes[node].Run("sysctl", "-qw", "net.ipv4.tcp_ecn=0");
            foreach (int which in (int[])[1, 2])
            {
                _nodes[node].Run("ip", "address", "add", AddressOf(node, which) + "/24", "dev", BridgedHosts.Interface);
            }

            File.WriteAllText(ConfigurationOf(node), Configuration(node));
            if (isBehindCable)
            {
                Configure(node, WithBothFamilies);
            }
        }
    }

    /// <summary>An address that all nodes have, after <see cref="ShareAddress"/>.</summary>
    public const string SharedAddress = "10.9.9.9";

    public NetworkNamespace Client { get; }

    /// <summary>Where the client's frames are carried; null where nothing is in the way.</summary>
    public NetworkNamespace? ClientCable { get; }

    public int Nodes => _nodes.Length;

    public static string AddressOf(int node, int which = 0) => BridgedHosts.Address(FirstNumber + node + (which * BetweenAddresses));

    public static string Ipv6AddressOf(int node) => BridgedHosts.Address(FirstNumber + node, isIpv6: true);

    /// <summary>The first address of a family.</summary>
    public static string AddressOf(int node, bool isIpv6) => isIpv6 ? Ipv6AddressOf(node) : AddressOf(node);

    /// <summary>The network namespace of a node.</summary>
    public NetworkNamespace NodeOf(int node) => _nodes[node];

    public string SocketsOf(int node) => Path.Combine(_folder, string.Create(CultureInfo.InvariantCulture, $"sockets-{node}"));

    /// <summary>Folder of the whole tree.</summary>
    public static string Root => FindRoot();

    /// <summary>A file of the world's own folder.</summary>
    public string FileOf(string name) => Path.Combine(_folder, name);

    /// <summary>Changes the configuration of a node whose daemon does not run yet.</summary>
    public void Configure(int node, Func<string, string> change)
    {
        string text = File.ReadAllText(ConfigurationOf(node));
        File.WriteAllText(ConfigurationOf(node), change(text) + "\n");
    }

    /// <summary>Gives all nodes, none of whose daemons runs yet, an address that they share.</summary>
    public void ShareAddress()
    {
        for (int node = 0; node < _nodes.Length; node++)
        {
            _nodes[node].Run("ip", "address", "add", SharedAddress + "/32", "dev", "lo");
            Configure(node, static text => text + "\nservice_ip = " + SharedAddress);
        }
    }

    /// <summary>Plays the balancer: what the client sends to the shared address goes to a node.</summary>
    public void SendBy(int node) => Client.Run("ip", "route", "replace", SharedAddress + "/32", "via", AddressOf(node));

    public Process StartDaemon(int node) => StartDaemon(node, []);

    /// <summary>Starts a daemon by a program that executes another.</summary>
    public Process StartDaemon(int node, string[] wrapper)
    {
        Process daemon = Start(
            node,
            [
                .. wrapper, Path.Combine(s_artifacts, "bin", "pronghorn"), "handoff", "serve", "--config", ConfigurationOf(node),
                "--instance", InstanceOf(node),
            ]);
        Assert.Contains("connections move over", daemon.StandardError.ReadLine() ?? "it ended", StringComparison.Ordinal);

        // It must not wait for somebody to read what it says.
        _ = KeepAsync(daemon.StandardError, _logs[node].Writer);
        return daemon;
    }

    /// <summary>Waits until a node's daemons have said something that they had not said before.</summary>
    /// <returns>The whole line.</returns>
    public async Task<string> ReadLogAsync(int node, string part)
    {
        List<string> lines = [];
        using var limit = new CancellationTokenSource(s_log);
        try
        {
            do
            {
                lines.Add(await _logs[node].Reader.ReadAsync(limit.Token));
            }
            while (!lines[^1].Contains(part, StringComparison.Ordinal));
            return lines[^1];
        }
        catch (OperationCanceledException)
        {
            Assert.Fail($"no line has \"{part}\"; there were:\n{string.Join('\n', lines)}");
            throw;
        }
    }

    /// <summary>Starts a worker, and waits until the daemon knows it.</summary>
    public Process StartWorker(int node, int worker = 0, string? listening = null)
    {
        string[] others = [.. OthersOf(node).SelectMany(static other => (string[])[Text(other), AddressOf(other)])];
        Process process = Start(
            node,
            [
                "env", "TCPM_SOCKET_DIRECTORY=" + SocketsOf(node), Path.Combine(s_artifacts, "lib", "tcpm-example"), Text(node),
                listening ?? AddressOf(node), Text(Port), Text(worker), .. others,
            ]);
        Assert.Equal("ready", process.StandardOutput.ReadLine());

        // It says why a connection stays, and must not wait for a reader.
        _ = process.StandardError.ReadToEndAsync();
        return process;
    }

    public static void End(Process process, string signal)
    {
        Signal(process, signal);
        process.WaitForExit();
    }

    public static void Signal(Process process, string signal) => LabCommand.Run("kill", "-" + signal, Text(process.Id));

    public async Task<HandoffStatus> StatusOfAsync(int node) => await HandoffStatus.AskAsync(SocketsOf(node), CancellationToken.None);

    /// <summary>Waits until a node's daemon is up.</summary>
    public async Task WaitUntilItAnswersAsync(int node)
    {
        for (long end = Environment.TickCount64 + 60_000; ;)
        {
            try
            {
                await StatusOfAsync(node);
                return;
            }
            catch (IOException) when (Environment.TickCount64 < end)
            {
                await Task.Delay(10);
            }
        }
    }

    /// <summary>Waits until these nodes' daemons have streams with each other.</summary>
    public async Task WaitUntilConnectedAsync(params int[] nodes)
    {
        foreach (int node in nodes)
        {
            HandoffStatus status;
            do
            {
                status = await StatusOfAsync(node);
            }
            while (!nodes.Where(other => other != node).All(other =>
                status.Peers.Single(peer => peer.Name == NameOf(other)).IsConnected));
        }
    }

    /// <summary>A client's connection to a node.</summary>
    public StreamReaderWriter Connect(int node) => NamespaceThread.Run(Client, () =>
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        socket.Connect(IPAddress.Parse(AddressOf(node)), Port);
        return new StreamReaderWriter(socket);
    });

    /// <summary>A client's connection to an address, from a port that the client has used before, or any.</summary>
    public async Task<StreamReaderWriter> ConnectAsync(string address, int fromPort = 0)
    {
        Socket socket = NamespaceThread.Run(Client, static () =>
            new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true });
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        socket.Bind(new IPEndPoint(IPAddress.Any, fromPort));
        await socket.ConnectAsync(IPAddress.Parse(address), Port).WaitAsync(s_connect);
        return new StreamReaderWriter(socket);
    }

    /// <summary>What a node has given away.</summary>
    public IReadOnlyCollection<GivenEntry> GivenOf(int node)
    {
        using SteeringTables tables = TablesOf(node);
        return tables.ListGiven();
    }

    /// <summary>What there is of a client's connection everywhere, for the message of a test that fails.</summary>
    public async Task<string> DescribeAsync(int clientPort)
    {
        List<string> lines = ["client: " + Sockets(Client, clientPort)];
        for (int node = 0; node < _nodes.Length && Directory.Exists(HandoffDaemon.FolderOf(InstanceOf(node))); node++)
        {
            using SteeringTables tables = TablesOf(node);
            lines.Add($"{NameOf(node)}: {Sockets(_nodes[node], clientPort)}");
            lines.AddRange(tables.ListGiven().Where(given => given.Remote.Port == clientPort).Select(static given => given.ToString()));
            lines.AddRange(tables.ListTaken().Where(taken => taken.Remote.Port == clientPort).Select(static taken => taken.ToString()));
            try
            {
                lines.Add((await StatusOfAsync(node)).ToJson());
            }
            catch (IOException away)
            {
                lines.Add(away.Message);
            }
        }

        return string.Join('\n', lines);
    }

    /// <summary>Connections whose packets come by a node and that are elsewhere, and open, as its table says.</summary>
    public int CountGiven(int node)
    {
        using SteeringTables tables = TablesOf(node);
        return tables.ListGiven().Count(given =>
            given.Mode != SteeringMode.Tombstone && !tables.FindTaken(given.Local, given.Remote, out _));
    }

    public void Dispose()
    {
        foreach (Process process in _processes)
        {
            process.Kill();
            process.WaitForExit();
            process.Dispose();
        }

        for (int node = 0; node < _nodes.Length; node++)
        {
            SteeringLayer.Remove(HandoffDaemon.FolderOf(InstanceOf(node)));
        }

        _hosts.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static async Task KeepAsync(StreamReader from, ChannelWriter<string> to)
    {
        while (await from.ReadLineAsync() is { } line)
        {
            to.TryWrite(line);
        }
    }

    private static string Sockets(NetworkNamespace place, int clientPort) =>
        place.Run("ss", "-tanoi", $"( sport = :{Text(clientPort)} or dport = :{Text(clientPort)} )").Trim();

    private static string WithBothFamilies(string configuration)
    {
        foreach (int node in (int[])[0, 1, 2])
        {
            string address = AddressOf(node);
            string second = Ipv6AddressOf(node);
            configuration = configuration.Replace($"local_ip = {address}", $"local_ip = {address} {second}", StringComparison.Ordinal)
                .Replace($"{NameOf(node)} {address}", $"{NameOf(node)} {address} {second}", StringComparison.Ordinal);
        }

        return configuration;
    }

    public static string NameOf(int node) => string.Create(CultureInfo.InvariantCulture, $"node-{node}");

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static string FindRoot()
    {
        string? at = AppContext.BaseDirectory;
        while (at is not null && !File.Exists(Path.Combine(at, "Pronghorn.slnx")))
        {
            at = Path.GetDirectoryName(at);
        }

        return at ?? throw new InvalidOperationException("no tree around the tests");
    }

    private SteeringTables TablesOf(int node)
    {
        string folder = HandoffDaemon.FolderOf(InstanceOf(node));
        return new SteeringTables(
            BpfMap.OpenPinned(Path.Combine(folder, "handoff_inbound")), BpfMap.OpenPinned(Path.Combine(folder, "handoff_outbound")));
    }

    private string AddressesOf(int node) => string.Join(' ', Enumerable.Range(0, _addresses).Select(which => AddressOf(node, which)));

    private string InstanceOf(int node) => string.Create(CultureInfo.InvariantCulture, $"{_hosts.Name}-{node}");

    private string ConfigurationOf(int node) => Path.Combine(_folder, string.Create(CultureInfo.InvariantCulture, $"tcpm-{node}.conf"));

    private IEnumerable<int> OthersOf(int node) => Enumerable.Range(0, _nodes.Length).Where(other => other != node);

    private string Configuration(int node) => string.Create(CultureInfo.InvariantCulture, $"""
        svcWorkerNum = {Workers}
        local_ip = {AddressesOf(node)}
        peer_timeout = {_peerTimeout}
        {string.Join('\n', OthersOf(node).Select(other => $"peer = {NameOf(other)} {AddressesOf(other)}"))}
        socket_directory = {SocketsOf(node)}
        certificate = {_folder}/node-{node}.pem
        key = {_folder}/node-{node}.key
        authority = {_folder}/authority.pem
        """);

    private void WriteCertificates()
    {
        using var certificates = new TestCertificates();
        File.WriteAllText(Path.Combine(_folder, "authority.pem"), certificates.Authority.ExportCertificatePem());
        for (int node = 0; node < _nodes.Length; node++)
        {
            string name = NameOf(node);
            using X509Certificate2 certificate = certificates.Issue(name, isExportable: true);
            File.WriteAllText(Path.Combine(_folder, name + ".pem"), certificate.ExportCertificatePem());
            File.WriteAllText(Path.Combine(_folder, name + ".key"), certificate.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        }
    }

    // nsenter replaces itself by the program, so the process is the program's.
    private Process Start(int node, params string[] words)
    {
        var process = Process.Start(new ProcessStartInfo("nsenter", [$"--net={_nodes[node].Path}", .. words])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        _processes.Add(process);
        return process;
    }
}

/// <summary>Lines over a connection.</summary>
public sealed class StreamReaderWriter(Socket socket) : IDisposable
{
    private readonly StreamReader _reader = new(new NetworkStream(socket));

    /// <summary>What is underneath.</summary>
    public Socket Socket => socket;

    /// <summary>Its port.</summary>
    public int Port { get; } = ((IPEndPoint)socket.LocalEndPoint!).Port;

    /// <summary>Sends a line and returns the next one that comes; null at the end.</summary>
    public async Task<string?> AskAsync(string line)
    {
        await SendAsync(line + "\n");
        return await ReadAsync();
    }

    public async Task SendAsync(string text) => await socket.SendAsync(System.Text.Encoding.ASCII.GetBytes(text));

    public async Task<string?> ReadAsync() => await _reader.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(30));

    public void Dispose()
    {
        _reader.Dispose();
        socket.Dispose();
    }
}
