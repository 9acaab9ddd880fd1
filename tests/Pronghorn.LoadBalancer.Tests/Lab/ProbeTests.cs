// SPDX-License-Identifier: Apache-2.0
using System.Net.Sockets;
using System.Threading.Tasks;
using Pronghorn.Lab;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Tests.DataPlane;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Lab;

/// <summary>That the probe of the other tests tells of its own flow only.</summary>
[Collection(TestCgroup.Collection)]
public sealed class ProbeTests(ServiceWorld world) : IClassFixture<ServiceWorld>
{
    [Theory]
    [InlineData(IpProtocol.Tcp)]
    [InlineData(IpProtocol.Udp)]
    public async Task EarlierProbeArrivesLate_NextIsToldItsOwnServer(IpProtocol protocol)
    {
        Service service = world.MakeService();
        await world.ApplyAsync(service, 1);
        using (Socket late = world.Lab.Open(world.Client, protocol, null)[0])
        {
            late.Connect(world.ServerOf(0, protocol).End);
            if (protocol == IpProtocol.Udp)
            {
                late.Send([0]);
            }
        }

        Assert.Equal("b", world.Ask(world.Client, service, protocol));
    }
}
