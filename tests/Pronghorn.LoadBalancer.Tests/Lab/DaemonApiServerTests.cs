// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Net;
using System.Threading.Tasks;
using Pronghorn.Lab;
using Pronghorn.LoadBalancer.Tests.DataPlane;
using Pronghorn.LoadBalancer.Tests.Sources;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Lab;

/// <summary>The daemon as it is installed, and an API server that is away and back with a changed world.</summary>
[Collection(TestCgroup.Collection)]
public sealed class DaemonApiServerTests : IDisposable
{
    private const string Services = "api/v1/services";
    private const string Slices = "apis/discovery.k8s.io/v1/endpointslices";
    private const string NotServed = "n";

    // For each line on standard input it asks every address, and prints who answers; "r" where it is refused.
    private const string Client = """
        import socket, sys
        def ask(address):
            try:
                with socket.create_connection((address, 80), 10) as s:
                    return s.recv(1).decode() or 'cut'
            except ConnectionRefusedError:
                return 'r'
            except OSError as error:
                return repr(error)
        for _ in sys.stdin:
            print(*[ask(address) for address in sys.argv[1:]], flush=True)
        """;

    private const string Server = """
        import socket, sys
        listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=512)
        print('ready', flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(sys.argv[3].encode())
        """;

    private static readonly string s_program = Path.Combine(SourceTree.Root, "artifacts", "bin", "pronghorn");

    // As one of the long tests a minute.
    private static readonly TimeSpan s_away =
        TimeSpan.FromSeconds(Environment.GetEnvironmentVariable("PRONGHORN_LONG_TESTS") == "1" ? 60 : 1);

    private readonly ServiceNode _node = ServiceNode.Create(new ServiceNodeOptions { Ipv6 = false, Pods = 3 });
    private readonly string _folder = Directory.CreateTempSubdirectory("pronghorn-away-tests-").FullName;

    [Fact]
    public async Task ApiServerIsAwayAndBack_DaemonRestartsMeanwhile_NoWrongAnswer_AndThenItHolds()
    {
        ApiStore store = FirstWorld();
        await using var server = new ApiServer(store, new ApiServerOptions { Place = _node.Node });
        await server.StartAsync();
        using Process a = StartServer(_node.Pods[0], ServiceNode.PodAddress(0), "8080", "a");
        using Process b = StartServer(_node.Pods[1], ServiceNode.PodAddress(1), "8080", "b");

        // What no proxy translates ends at the node, at a server that says so.
        LabCommand.Run("ip", "-n", _node.Node.Name, "route", "add", "local", "10.96.0.0/16", "dev", "lo");
        using Process none = StartServer(_node.Node, "0.0.0.0", "80", NotServed);
        using Process client = _node.Start(_node.Pods[2], "python3", ["-c", Client, .. Addresses()]);
        Process daemon = StartDaemon(server.Address);
        try
        {
            AskUntil(client, "a a a n");
            await server.StopAsync();
            ChangeWorld(store);
            AssertAnswers(client, "a a a n", s_away / 2);
            LabCommand.Run("kill", "-TERM", daemon.Id.ToString(CultureInfo.InvariantCulture));
            daemon.WaitForExit();
            AssertAnswers(client, "a a a n", TimeSpan.Zero);
            daemon.Dispose();
            daemon = StartDaemon(server.Address);
            AssertAnswers(client, "a a a n", s_away / 2);

            await server.StartAsync();
            AskUntil(client, "a b n b", static answers =>
            {
                // What is not final yet must be as it was, or refused where the one list has come only.
                string[] names = answers.Split(' ');
                Assert.Equal("a", names[0]);
                Assert.Contains(names[1], (string[])["a", "b"]);
                Assert.Contains(names[2], (string[])["a", "r", NotServed]);
                Assert.Contains(names[3], (string[])["b", "r", NotServed]);
            });
        }
        finally
        {
            Array.ForEach([daemon, client, a, b, none], static process => process.Kill());
            daemon.WaitForExit();
            daemon.Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            LabCommand.Run("nsenter", InNode("lb", "disable", "--instance", _node.Name));
        }
        finally
        {
            _node.Dispose();
            Directory.Delete(_folder, recursive: true);
        }
    }

    private static string[] Addresses() => ["10.96.0.1", "10.96.0.2", "10.96.0.3", "10.96.0.4"];

    private static ApiStore FirstWorld()
    {
        var store = new ApiStore();
        for (int number = 1; number <= 3; number++)
        {
            store.Apply(Services, ServiceJson(number));
            store.Apply(Slices, SliceJson(number, pod: 0));
        }

        return store;
    }

    /// <summary>The second service moves, the third goes, a fourth comes; what led there is no longer kept.</summary>
    private static void ChangeWorld(ApiStore store)
    {
        store.Apply(Slices, SliceJson(2, pod: 1));
        store.Delete(Services, "shop", "s3");
        store.Delete(Slices, "shop", "s3-1");
        store.Apply(Services, ServiceJson(4));
        store.Apply(Slices, SliceJson(4, pod: 1));
        store.Compact();
    }

    private static string ServiceJson(int number) => $$$"""
        {"metadata":{"namespace":"shop","name":"s{{{number}}}"},
         "spec":{"clusterIP":"10.96.0.{{{number}}}","ports":[{"name":"tcp","port":80,"protocol":"TCP"}]}}
        """;

    private static string SliceJson(int number, int pod) => $$$"""
        {"metadata":{"namespace":"shop","name":"s{{{number}}}-1","labels":{"kubernetes.io/service-name":"s{{{number}}}"}},
         "addressType":"IPv4","endpoints":[{"addresses":["{{{ServiceNode.PodAddress(pod)}}}"],"conditions":{"ready":true}}],
         "ports":[{"name":"tcp","port":8080,"protocol":"TCP"}]}
        """;

    private static string Ask(Process client)
    {
        client.StandardInput.WriteLine();
        return client.StandardOutput.ReadLine() ?? throw new InvalidOperationException("the client ended");
    }

    private static void AskUntil(Process client, string wanted, Action<string>? check = null)
    {
        string answers = "";
        for (var time = Stopwatch.StartNew(); answers != wanted;)
        {
            Assert.True(time.Elapsed < TimeSpan.FromMinutes(2), $"'{answers}' and not '{wanted}'");
            answers = Ask(client);
            check?.Invoke(answers);
        }
    }

    private static void AssertAnswers(Process client, string wanted, TimeSpan time)
    {
        var passed = Stopwatch.StartNew();
        do
        {
            Assert.Equal(wanted, Ask(client));
        }
        while (passed.Elapsed < time);
    }

    private Process StartServer(NetworkNamespace place, string address, string port, string answer)
    {
        Process server = _node.Start(place, "python3", "-c", Server, address, port, answer);
        Assert.Equal("ready", server.StandardOutput.ReadLine());
        return server;
    }

    private Process StartDaemon(Uri server)
    {
        string kubeconfig = Path.Combine(_folder, "kubeconfig");
        File.WriteAllText(kubeconfig, $$$"""
            apiVersion: v1
            kind: Config
            clusters: [{name: lab, cluster: {server: "{{{server}}}"}}]
            users: [{name: node, user: {}}]
            contexts: [{name: lab, context: {cluster: lab, user: node}}]
            current-context: lab
            """);
        return Process.Start(new ProcessStartInfo("nsenter", InNode(
            "lb", "enable", "--foreground", "--kubeconfig", kubeconfig, "--cgroup", _node.ControlGroupPath, "--instance", _node.Name,
            "--pod-cidr", ServiceNode.PodRange, "--healthz-bind-address", "", "--metrics-bind-address", "")))!;
    }

    // nsenter replaces itself by the program, so the process is the daemon.
    private string[] InNode(params string[] arguments) => [$"--net={_node.Node.Path}", s_program, .. arguments];
}
