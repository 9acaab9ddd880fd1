// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using Pronghorn.Lab;
using Pronghorn.Linux.Bpf;
using Xunit;

namespace Pronghorn.Lab.Tests.Services;

/// <summary>
/// The daemon as it is installed, ended and started again and again while programs connect to a service without a pause,
/// one on the node through its cluster address and one outside through its node port.
/// </summary>
public sealed class DaemonRestartTests : IDisposable
{
    private const string Vip = "10.96.0.1";
    private const string NodePort = "30080";

    // Connects until the line on standard input; a line for each 200 connections, and at the end what failed.
    private const string Client = """
        import socket, sys, threading
        ended = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.readline(), ended.set()), daemon=True).start()
        def ask():
            with socket.create_connection((sys.argv[1], int(sys.argv[2])), 10) as s:
                s.sendall(b'x')
                return s.recv(1) == b'x'
        served = False
        while not served and not ended.wait(0.01):
            try:
                served = ask()
            except OSError:
                pass
        made, failed = 0, []
        while not ended.is_set():
            try:
                if not ask():
                    failed.append('cut short')
            except OSError as error:
                failed.append(repr(error))
            made += 1
            if made % 200 == 0:
                print(made, flush=True)
        print('made', made, 'failed', len(failed), failed[:9], flush=True)
        """;

    private const string Server = """
        import socket, sys
        listener = socket.create_server((sys.argv[1], 8080), backlog=512)
        print('ready', flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(connection.recv(1))
        """;

    private static readonly string s_program = Path.Combine(Product.LibraryDirectory, "..", "bin", "pronghorn");

    private readonly List<Process> _daemons = [];
    private readonly ServiceNode _node = ServiceNode.Create(new ServiceNodeOptions { Ipv6 = false });
    private readonly string _manifests = Directory.CreateTempSubdirectory("pronghorn-killed-tests-").FullName;

    [Theory]
    [InlineData("KILL")]
    [InlineData("TERM")]
    public void EndedAndStarted_AgainAndAgain_NoConnectionFails(string signal) => RunUnderLoad(
        (client, daemon, i) =>
        {
            End(daemon, signal);
            Process next = StartDaemon(s_program);

            // From a moment after its start, when it replaces programs, to long after.
            for (int lines = 0; lines <= i % 6; lines++)
            {
                Assert.NotNull(client.StandardOutput.ReadLine());
            }

            return next;
        });

    [Fact]
    public void UpgradedToABuildWithOtherPrograms_AndBack_AgainAndAgain_NoConnectionFails()
    {
        using var other = new OtherBuild();
        RunUnderLoad((client, daemon, i) =>
        {
            string before = RunningProgram();
            End(daemon, "TERM");
            Process next = StartDaemon(i % 2 == 0 ? other.Program : s_program);
            for (int lines = 0; RunningProgram() == before; lines++)
            {
                Assert.False(next.HasExited, "the other build ended");
                Assert.True(lines < 1000, "the other build runs and its programs do not");
                Assert.NotNull(client.StandardOutput.ReadLine());
            }

            return next;
        });
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            // In the node's network namespace, with the machine's own BPF file system.
            LabCommand.Run("nsenter", InNode(s_program, "lb", "disable", "--instance", _node.Name));
        }
        finally
        {
            _node.Dispose();
            Directory.Delete(_manifests, recursive: true);
        }
    }

    private static void End(Process daemon, string signal)
    {
        LabCommand.Run("kill", "-" + signal, daemon.Id.ToString(CultureInfo.InvariantCulture));
        Assert.True(daemon.WaitForExit(TimeSpan.FromSeconds(30)), "the daemon goes on after the signal");
    }

    private void EndAll()
    {
        foreach (Process daemon in _daemons)
        {
            daemon.Kill();
            daemon.WaitForExit();
            daemon.Dispose();
        }

        _daemons.Clear();
    }

    private static string Manifest() => $$$"""
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: default}
        spec: {type: NodePort, clusterIP: {{{Vip}}}, ports: [{name: http, port: 80, nodePort: {{{NodePort}}}, protocol: TCP}]}
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}
        addressType: IPv4
        endpoints: [{addresses: [{{{ServiceNode.PodAddress(0)}}}], conditions: {ready: true}}]
        ports: [{name: http, port: 8080, protocol: TCP}]
        """;

    /// <summary>Connects inside and outside without a pause while the daemon is changed for another.</summary>
    /// <param name="change">Gets the client inside, the daemon and how often it was changed; returns the daemon that runs then.</param>
    private void RunUnderLoad(Func<Process, Process, int, Process> change)
    {
        File.WriteAllText(Path.Combine(_manifests, "web.yaml"), Manifest());
        using Process server = _node.Start(_node.Pods[0], "python3", "-c", Server, ServiceNode.PodAddress(0));
        try
        {
            Assert.Equal("ready", server.StandardOutput.ReadLine());
            using Process inside = _node.Start(_node.Pods[1], "python3", "-c", Client, Vip, "80");
            using Process outside = _node.Start(_node.External, "python3", "-c", Client, ServiceNode.NodeAddress, NodePort);
            Process daemon = StartDaemon(s_program);
            Assert.Equal("200", inside.StandardOutput.ReadLine());
            Assert.Equal("200", outside.StandardOutput.ReadLine());
            int times = Product.RunsLongTests ? 60 : 6;
            for (int i = 0; i < times; i++)
            {
                daemon = change(inside, daemon, i);
            }

            AssertNothingFailed(inside);
            AssertNothingFailed(outside);
        }
        finally
        {
            EndAll();
            server.Kill();
            server.WaitForExit();
        }
    }

    private static void AssertNothingFailed(Process client)
    {
        client.StandardInput.WriteLine();
        string? line;
        do
        {
            line = client.StandardOutput.ReadLine();
        }
        while (line is not null && !line.StartsWith("made", StringComparison.Ordinal));
        Assert.NotNull(line);
        Assert.True(line.Contains(" failed 0 ", StringComparison.Ordinal), line);
        Assert.True(client.WaitForExit(TimeSpan.FromSeconds(30)), "the client goes on");
    }

    /// <summary>The tag, a hash of the instructions, of the program that translates at connect().</summary>
    private string RunningProgram()
    {
        string pin = Path.Combine(BpfFileSystem.DefaultPath, "pronghorn", "lb", _node.Name, "links", "socket_connect4");
        using BpfLink link = BpfLink.TryOpenPinned(pin) ?? throw new FileNotFoundException(pin);
        using var program = BpfProgram.OpenById(link.GetState().ProgramId);
        return program.Tag;
    }

    private Process StartDaemon(string program)
    {
        var start = new ProcessStartInfo("nsenter");
        string[] arguments = InNode(
            program, "lb", "enable", "--foreground", "--manifests", _manifests, "--cgroup", _node.ControlGroupPath,
            "--instance", _node.Name, "--interface", ServiceNode.EdgeInterface, "--pod-interface", "pod*",
            "--pod-cidr", ServiceNode.PodRange, "--healthz-bind-address", "", "--metrics-bind-address", "");
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        var daemon = Process.Start(start)!;
        _daemons.Add(daemon);
        return daemon;
    }

    // nsenter replaces itself by the program, so the process is the daemon.
    private string[] InNode(params string[] arguments) => [$"--net={_node.Node.Path}", .. arguments];
}
