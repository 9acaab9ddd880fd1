// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json.Nodes;
using System.Threading.Tasks;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Sources.KubernetesApi;
using Pronghorn.LoadBalancer.Sources.Manifests;
using Pronghorn.LoadBalancer.Tests.Sources;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Packaging;

public sealed class KubernetesManifestTests
{
    [Fact]
    public async Task ClusterRole_GrantsWhatTheSourceAsksFor_AndNothingMore()
    {
        var store = new ApiStore();
        await using var server = new ApiServer(store);
        await server.StartAsync();
        await using (var source = new FollowedSource(new KubernetesApiSource(
            new ApiServerAccess { Server = server.Address }, new KubernetesApiSettings { NodeName = "n1" })))
        {
            await source.NextAsync<ServicesListed>();
            await source.NextAsync<EndpointSlicesListed>();
            while (!Asked(server).Contains("nodes"))
            {
                await Task.Yield();
            }
        }

        JsonNode role = Documents("rbac.yaml").Single(static item => (string?)item["kind"] == "ClusterRole");
        IEnumerable<string> granted =
            role["rules"]!.AsArray().SelectMany(static rule => rule!["resources"]!.AsArray()).Select(static name => (string)name!);

        Assert.Equal(Asked(server).Order(), granted.Order());
        Assert.All(role["rules"]!.AsArray(), static rule =>
            Assert.Equal(["list", "watch"], rule!["verbs"]!.AsArray().Select(static verb => (string)verb!)));
    }

    [Fact]
    public void DaemonSet_RunsUnderTheAccountThatTheRoleIsBoundTo()
    {
        JsonNode daemons = Documents("daemonset.yaml").Single();
        JsonNode binding = Documents("rbac.yaml").Single(static item => (string?)item["kind"] == "ClusterRoleBinding");
        JsonNode pod = daemons["spec"]!["template"]!["spec"]!;

        Assert.Equal((string?)binding["subjects"]![0]!["name"], (string?)pod["serviceAccountName"]);
        Assert.Equal((string?)binding["subjects"]![0]!["namespace"], (string?)daemons["metadata"]!["namespace"]);
    }

    private static HashSet<string> Asked(ApiServer server)
    {
        lock (server.Requests)
        {
            return [.. server.Requests.Select(static request => request.Split('?')[0].Split('/')[^1])];
        }
    }

    private static IEnumerable<JsonNode> Documents(string file) =>
        YamlDocuments.Read(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Packaging", file)))
            .Select(static document => JsonNode.Parse(document.Json.Span)!);
}
