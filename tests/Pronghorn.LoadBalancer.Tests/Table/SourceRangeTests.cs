// SPDX-License-Identifier: Apache-2.0
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Table;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Table;

/// <summary>loadBalancerSourceRanges: decided as kube-proxy does, pods included.</summary>
public sealed class SourceRangeTests
{
    [Fact]
    public void LoadBalancerAddress_ChecksEveryClass_AndNothingElseChecks()
    {
        ServiceState state = Resolve(["192.0.2.0/24"], "10.0.1.1");

        Frontend checkedOne = state.Frontend("203.0.113.5", 80);
        Assert.True(checkedOne.Pod.ChecksSource && checkedOne.Node.ChecksSource && checkedOne.External.ChecksSource);
        Assert.All(
            state.Ports.SelectMany(port => port.Frontends).Where(one => one.Kind != FrontendKind.LoadBalancer),
            frontend => Assert.False(frontend.Pod.ChecksSource || frontend.Node.ChecksSource || frontend.External.ChecksSource));
    }

    [Theory]
    [InlineData("192.0.2.0/24", false, "192.0.2.0/24")]
    [InlineData("192.168.0.0/24", true, "192.168.0.0/24 203.0.113.5/32")]
    [InlineData("0.0.0.0/0", true, "0.0.0.0/0 203.0.113.5/32")]
    [InlineData("192.168.1.2/32", false, "192.168.1.2/32")]
    [InlineData(" 192.0.2.77/24 ", false, "192.0.2.0/24")]
    public void NodeWhosePrimaryAddressIsInARange_IsAdmitted_WithTheAddressesThatItUsesForItself(
        string range, bool nodeAllowed, string expected)
    {
        ServiceState state = Resolve([range], "10.0.1.1");

        Assert.Equal(nodeAllowed, state.Frontend("203.0.113.5", 80).Node.NodeAllowed);
        Assert.Equal(expected, string.Join(' ', Assert.Single(state.Ports).SourceRanges));
        Assert.Empty(state.Problems);
    }

    [Fact]
    public void RangesOfTheOtherFamilyOnly_AdmitNobody()
    {
        ServiceState state = Resolve(["2001:db8::/32"], "10.0.1.1");

        Assert.True(state.Frontend("203.0.113.5", 80).External.ChecksSource);
        Assert.Empty(Assert.Single(state.Ports).SourceRanges);
    }

    [Fact]
    public void RangeThatCannotBeRead_AdmitsNobodyAndIsAProblem()
    {
        ServiceState state = Resolve(["everybody"], "10.0.1.1");

        Assert.True(state.Frontend("203.0.113.5", 80).External.ChecksSource);
        Assert.Empty(Assert.Single(state.Ports).SourceRanges);
        Problem problem = Assert.Single(state.Problems);
        Assert.Equal(("Service shop/cart", "spec.loadBalancerSourceRanges[0]"), (problem.Subject, problem.Field));
    }

    [Fact]
    public void NoEndpoint_RefusesEverybodyWithoutCheck()
    {
        Frontend frontend = Resolve(["192.0.2.0/24"]).Frontend("203.0.113.5", 80);

        Assert.Equal(new FrontendView(FrontendAction.Reject, EndpointScope.Cluster), frontend.External);
    }

    [Fact]
    public void NoRanges_ChecksNobody()
    {
        Frontend frontend = Resolve([], "10.0.1.1").Frontend("203.0.113.5", 80);

        Assert.False(frontend.Pod.ChecksSource || frontend.Node.ChecksSource || frontend.External.ChecksSource);
    }

    private static ServiceState Resolve(string[] ranges, params string[] endpoints) => World.Resolve(
        World.Service(new ServiceSpec
        {
            Type = "LoadBalancer",
            LoadBalancerSourceRanges = ranges,
            ExternalIPs = ["198.51.100.1"],
            Ports = [new ServicePort { Port = 80, NodePort = 30080 }],
        }).WithIngress(new LoadBalancerIngress { Ip = "203.0.113.5" }),
        World.Slice(endpoints));
}
