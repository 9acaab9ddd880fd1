// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Linq;
using System.Text;
using Pronghorn.Cli.Benchmarks.Services;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Sources.Manifests;
using Xunit;

namespace Pronghorn.Cli.Tests.Services;

public sealed class ServiceManifestsTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Services_WrittenAndRead_AreTheClusters(bool nodePorts)
    {
        var cluster = new BenchmarkCluster(100, 3, nodePorts);
        StringBuilder text = new();
        ServiceManifests.Append(text, cluster, 0);
        ServiceManifests.Append(text, cluster, 40);

        var problems = new Problems();
        ManifestFile? file = ManifestFile.Parse("x.yaml", text.ToString(), null, problems);

        Assert.Empty(problems.All);
        Service service = file!.Services[new ObjectName("bench", "service-40")];
        Assert.Equal(BenchmarkCluster.ClusterAddress(40), service.Spec.ClusterIP);
        Assert.Equal(cluster.Protocol, service.Spec.Ports![0].Protocol);
        Assert.Equal(nodePorts ? 30_040 : 0, service.Spec.Ports[0].NodePort);
        EndpointSlice slice = file.Slices[new ObjectName("bench", "service-40-1")];
        Assert.Equal("service-40", slice.Metadata.Labels![EndpointSlice.ServiceNameLabel]);
        Assert.Equal(cluster.AddressesOf(40), slice.Endpoints!.Select(endpoint => endpoint.Addresses![0]));
        Assert.Equal(BenchmarkCluster.EndpointPort, slice.Ports![0].Port);
        Assert.Equal(BenchmarkCluster.FirstBackendPort, file.Slices[new ObjectName("bench", "service-0-1")].Ports![0].Port);
    }

    [Fact]
    public void ServiceWithPorts_WrittenAndRead_AnswersOnTheLast()
    {
        var cluster = new BenchmarkCluster(100, 3, nodePorts: false, ports: 3);
        StringBuilder text = new();
        ServiceManifests.Append(text, cluster, 0);

        ManifestFile? file = ManifestFile.Parse("x.yaml", text.ToString(), null, new Problems());

        Assert.Equal([80, 81, 82], file!.Services[new ObjectName("bench", "service-0")].Spec.Ports!.Select(port => port.Port));
        EndpointSlice slice = file.Slices[new ObjectName("bench", "service-0-1")];
        Assert.Equal([8080, 8081, BenchmarkCluster.FirstBackendPort], slice.Ports!.Select(port => port.Port!.Value));
        Assert.Equal("172.30.0.1:82", cluster.Target(0));
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(10_000, 4)]
    public void Positions_Chosen_AreEightServicesEach(int services, int positions)
    {
        Assert.Equal(positions, ServicePositions.For(services).Count);
        foreach (string position in ServicePositions.For(services))
        {
            IReadOnlyList<int> targets = ServicePositions.Targets(services, position);
            Assert.Equal(services < 8 ? services : 8, targets.Distinct().Count());
            Assert.All(targets, target => Assert.InRange(target, 0, services - 1));
        }
    }

    private sealed class Problems : IProblemSink
    {
        internal List<Problem> All { get; } = [];

        public void Report(Problem problem) => All.Add(problem);
    }
}
