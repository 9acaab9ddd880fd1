// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Pronghorn.Cli.Services;
using Pronghorn.LoadBalancer.Explain;
using Pronghorn.LoadBalancer.Table;
using Xunit;

namespace Pronghorn.Cli.Tests;

public sealed class LoadBalancerExplainTests : IDisposable
{
    private const string Manifest = """
        apiVersion: v1
        kind: Service
        metadata: {name: web, namespace: shop}
        spec:
          clusterIP: 172.30.0.41
          ports: [{name: http, port: 80}]
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
        addressType: IPv4
        ports: [{name: http, port: 8080}]
        endpoints:
        - {addresses: [10.0.1.1], nodeName: here}
        - {addresses: [10.0.1.20], nodeName: there, hints: {forZones: [{name: b}]}, conditions: {ready: false}}
        ---
        apiVersion: v1
        kind: Node
        metadata: {name: here}
        status: {addresses: [{type: InternalIP, address: 192.168.0.2}]}
        """;

    private const string Case = """
        {"test":"T","hostname":"here",
        "services":[{"metadata":{"namespace":"n","name":"s"},"spec":{"clusterIP":"172.30.0.1","ports":[{"port":80}]}}],
        "flows":[{"sourceIP":"10.0.0.1","protocol":"TCP","destIP":"172.30.0.1","destPort":80,"output":"OUTPUT","masq":false}]}
        """;

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("pronghorn-explain-");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public void Manifests_Read_ExplainAFlowForTheNodeAmongThem()
    {
        File.WriteAllText(Path.Combine(_directory.FullName, "web.yaml"), Manifest);
        List<string> notes = [];

        FlowExplainer explainer = ExplainedCluster.OfManifests(_directory.FullName, new NodeFacts { Name = "here" }).Read(notes.Add);
        string[] lines = [.. ExplanationText.Format(explainer.Explain(Flow("192.168.0.2 -> 172.30.0.41:80")))];

        Assert.Empty(notes);
        Assert.Equal("192.168.0.2 -> 172.30.0.41:80/TCP", lines[0]);
        Assert.Equal("  client    node: 192.168.0.2 is an address of node here", lines[1]);
        Assert.Equal("  frontend  ClusterIP 172.30.0.41:80 of shop/web, port \"http\"", lines[2]);
        Assert.Equal("  endpoint  10.0.1.1:8080   used      ready, on this node (shop/web-1)", lines[^3]);
        Assert.Equal("  endpoint  10.0.1.20:8080  not used  not ready, on node there (shop/web-1)", lines[^2]);
        Assert.Equal("  outcome   forwarded to 10.0.1.1:8080", lines[^1]);
    }

    [Fact]
    public void WrongManifest_Read_IsNotedAndTheRestIsExplained()
    {
        File.WriteAllText(Path.Combine(_directory.FullName, "web.yaml"), Manifest);
        File.WriteAllText(Path.Combine(_directory.FullName, "wrong.yaml"), "kind: Service\nspec: [");
        List<string> notes = [];

        FlowExplainer explainer = ExplainedCluster.OfManifests(_directory.FullName, new NodeFacts { Name = "here" }).Read(notes.Add);

        Assert.StartsWith("wrong.yaml:", Assert.Single(notes), StringComparison.Ordinal);
        Assert.Equal("forward", explainer.Explain(Flow("10.0.0.9 -> 172.30.0.41:80")).Outcome);
    }

    [Theory]
    [InlineData("pass", "passes: not for a service")]
    [InlineData("reject", "refused (ECONNREFUSED; TCP reset or ICMP port unreachable)")]
    [InlineData("drop", "dropped (EPERM at a socket)")]
    [InlineData("accept", "accepted: the node's health check of the service answers")]
    public void Outcome_Formatted_SaysWhatIsSeen(string outcome, string expected)
    {
        FlowExplanation explanation = new()
        {
            Flow = "f", Outcome = outcome, Client = "pod", ClientReason = "because", Reasons = [], Problems = ["something is wrong"],
        };

        string[] lines = [.. ExplanationText.Format(explanation)];

        Assert.Equal(["  problem   something is wrong", "  outcome   " + expected], lines.TakeLast(2));
    }

    [Theory]
    [InlineData("REJECT", ExitStatus.Done)]
    [InlineData("DROP", ExitStatus.Failed)]
    public void Cases_Compared_EndWithOneIfAFlowDiffers(string output, int expected)
    {
        string file = Path.Combine(_directory.FullName, "cases.jsonl");
        File.WriteAllText(file, Case.ReplaceLineEndings("").Replace("OUTPUT", output, StringComparison.Ordinal));

        Assert.Equal(expected, Program.Invoke(["lb", "explain", "--cases", file]));
        Assert.Equal(expected, Program.Invoke(["lb", "explain", "--cases", file, "--json"]));
    }

    [Fact]
    public void Flow_InvokedWithManifests_EndsWithZero()
    {
        File.WriteAllText(Path.Combine(_directory.FullName, "web.yaml"), Manifest);
        string[] options = ["--manifests", _directory.FullName, "--node", "here", "--pod-cidr", "10.0.0.0/8"];

        Assert.Equal(ExitStatus.Done, Program.Invoke(["lb", "explain", "10.0.0.9 -> 172.30.0.41:80/tcp", .. options]));
        Assert.Equal(ExitStatus.Done, Program.Invoke(["lb", "explain", "10.0.0.9", "172.30.0.41:80/tcp", "--json", .. options]));
    }

    private static Flow Flow(string text)
    {
        Assert.True(LoadBalancer.Explain.Flow.TryParse(text, out Flow? flow, out string? mistake), mistake);
        return flow;
    }
}
