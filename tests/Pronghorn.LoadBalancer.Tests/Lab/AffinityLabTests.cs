// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Threading.Tasks;
using Pronghorn.Lab;
using Pronghorn.Linux.Bpf;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Tests.DataPlane;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Lab;

/// <summary>Session affinity by client address, at the socket and for packets.</summary>
[Collection(TestCgroup.Collection)]
public sealed class AffinityLabTests(ServiceWorld world) : IClassFixture<ServiceWorld>
{
    private const int TimeoutSeconds = 60;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task SessionAffinity_IsSwitchedOnAndOff_IsFollowed(bool isNodePort)
    {
        Service plain = MakeService(isNodePort);
        await world.ApplyAsync(plain, 0, 1);
        Assert.Equal("ab", Ask(plain, isNodePort));

        await world.ApplyAsync(WithAffinity(plain), 0, 1);
        string kept = Ask(plain, isNodePort);
        Assert.Single(kept);
        Assert.Equal(kept, Ask(plain, isNodePort));

        await world.ApplyAsync(plain, 0, 1);
        Assert.Equal("ab", Ask(plain, isNodePort));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task SessionAffinity_TimeIsOver_AnotherMayBeChosen(bool isNodePort)
    {
        Service service = WithAffinity(MakeService(isNodePort));
        await world.ApplyAsync(service, 0, 1);
        SortedSet<string> found = [];
        for (int i = 0; i < 24 && found.Count < 2; i++)
        {
            found.Add(Ask(service, isNodePort, times: 2));
            Age();
        }

        Assert.Equal(["a", "b"], found);
    }

    [Fact]
    public async Task SessionAffinity_RememberedEndpointGoes_TheOtherIsKept()
    {
        Service service = WithAffinity(MakeService(isNodePort: false));
        await world.ApplyAsync(service, 0);
        Assert.Equal("a", Ask(service, isNodePort: false));

        await world.ApplyAsync(service, 1);

        Assert.Equal("b", Ask(service, isNodePort: false));
    }

    private static Service WithAffinity(Service service) => service with
    {
        Spec = service.Spec with
        {
            SessionAffinity = "ClientIP",
            SessionAffinityConfig = new SessionAffinityConfig { ClientIP = new ClientIPConfig { TimeoutSeconds = TimeoutSeconds } },
        },
    };

    private Service MakeService(bool isNodePort) => world.MakeService(spec => isNodePort ? spec with { Type = "NodePort" } : spec);

    private string Ask(Service service, bool isNodePort, int times = 24) => isNodePort
        ? world.AskNodePort(world.Outside, service, times: times) : world.Ask(world.Client, service, times: times);

    /// <summary>Makes what is remembered older than the timeout.</summary>
    private void Age()
    {
        using BpfMap map = BpfMap.OpenPinned(world.Lab.Pins.Map("affinity"));
        List<KeyValuePair<AffinityKey, AffinityValue>> entries = [];
        Assert.Equal(0, map.ReadAll(entries));
        Assert.NotEmpty(entries);
        const ulong Nanoseconds = (TimeoutSeconds + 1) * 1_000_000_000UL;
        foreach ((AffinityKey key, AffinityValue value) in entries)
        {
            Assert.Equal(0, map.Update(key, value with { LastUsed = value.LastUsed - Nanoseconds }));
        }
    }

    private readonly record struct AffinityKey(uint Service, uint IsCookie, ulong ClientHigh, ulong ClientLow);

    private readonly record struct AffinityValue(ulong LastUsed, uint Backend, uint Reserved);
}
