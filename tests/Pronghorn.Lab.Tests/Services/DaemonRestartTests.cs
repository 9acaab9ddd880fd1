// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Lab.Tests.Services;

/// <summary>
/// The daemon as it is installed, ended and started again and again while a program connects to a service without a pause.
/// </summary>
public sealed class DaemonRestartTests : IDisposable
{
    private const string Vip = "10.96.0.1";

    // Connects until the line on standard input; a line for each 200 connections, and at the end what failed.
    private const string Client = """
        import socket, sys, threading
        ended = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.readline(), ended.set()), daemon=True).start()
        def ask():
            with socket.create_connection((sys.argv[1], 80), 10) as s:
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
        print('made', made, 'failed', len(failed), failed[:3], flush=True)
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

    private readonly ServiceNode _node = ServiceNode.Create(new ServiceNodeOptions { Ipv6 = false });
    private readonly string _manifests = Directory.CreateTempSubdirectory("pronghorn-killed-tests-").FullName;

    /// <summary>
    /// Each start loads its own programs and puts them in the place of those that run, as after an upgrade: with another build's it
    /// is the same step.
    /// </summary>
    [Theory]
    [InlineData("KILL")]
    [InlineData("TERM")]
    public void EndedAndStarted_AgainAndAgain_NoConnectionFails(string signal)
    {
        File.WriteAllText(Path.Combine(_manifests, "web.yaml"), Manifest());
        using Process server = _node.Start(_node.Pods[0], "python3", "-c", Server, ServiceNode.PodAddress(0));
        Process? daemon = null;
        try
        {
            Assert.Equal("ready", server.StandardOutput.ReadLine());
            using Process client = _node.Start(_node.Pods[1], "python3", "-c", Client, Vip);
            daemon = StartDaemon();
            Assert.Equal("200", client.StandardOutput.ReadLine());
            int times = Product.RunsLongTests ? 60 : 6;
            for (int i = 0; i < times; i++)
            {
                LabCommand.Run("kill", "-" + signal, daemon.Id.ToString(CultureInfo.InvariantCulture));
                Assert.True(daemon.WaitForExit(TimeSpan.FromSeconds(30)), "the daemon goes on after the signal");
                daemon.Dispose();
                daemon = StartDaemon();

                // From a moment after its start, when it replaces programs, to long after.
                for (int lines = 0; lines <= i % 6; lines++)
                {
                    Assert.NotNull(client.StandardOutput.ReadLine());
                }
            }

            client.StandardInput.WriteLine();
            string? line;
            do
            {
                line = client.StandardOutput.ReadLine();
            }
            while (line is not null && !line.StartsWith("made", StringComparison.Ordinal));
            Assert.NotNull(line);
            Assert.Contains(" failed 0 ", line, StringComparison.Ordinal);
            Assert.True(client.WaitForExit(TimeSpan.FromSeconds(30)), "the client goes on");
        }
        finally
        {
            daemon?.Kill();
            daemon?.WaitForExit();
            daemon?.Dispose();
            server.Kill();
            server.WaitForExit();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            // In the node's network namespace, with the machine's own BPF file system.
            LabCommand.Run("nsenter", InNode("lb", "disable", "--instance", _node.Name));
        }
        finally
        {
            _node.Dispose();
            Directory.Delete(_manifests, recursive: true);
        }
    }

    private static string Manifest() => $$$"""
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: default}
        spec: {clusterIP: {{{Vip}}}, ports: [{name: http, port: 80, protocol: TCP}]}
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: web-1, namespace: default, labels: {kubernetes.io/service-name: web}}
        addressType: IPv4
        endpoints: [{addresses: [{{{ServiceNode.PodAddress(0)}}}], conditions: {ready: true}}]
        ports: [{name: http, port: 8080, protocol: TCP}]
        """;

    private Process StartDaemon()
    {
        var start = new ProcessStartInfo("nsenter");
        string[] arguments = InNode(
            "lb", "enable", "--foreground", "--manifests", _manifests, "--cgroup", _node.ControlGroupPath, "--instance", _node.Name,
            "--pod-cidr", ServiceNode.PodRange, "--healthz-bind-address", "", "--metrics-bind-address", "");
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        return Process.Start(start)!;
    }

    // nsenter replaces itself by the program, so the process is the daemon.
    private string[] InNode(params string[] arguments) =>
        [$"--net={_node.Node.Path}", Path.Combine(Product.LibraryDirectory, "..", "bin", "pronghorn"), .. arguments];
}
