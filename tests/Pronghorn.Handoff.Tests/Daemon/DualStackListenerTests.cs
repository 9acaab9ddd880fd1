// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>Workers listen at ::, as most servers do: the sockets of IPv4 clients are IPv6 ones with mapped addresses.</summary>
public sealed class DualStackListenerTests
{
    [Fact]
    public async Task WorkersListenAtBothFamilies_AnIpv4ClientsConnectionGoesRound_AndEveryByteArrives()
    {
        const int Length = 2_000_000;
        await using WorkerScene scene = await WorkerScene.StartAsync(new DaemonWorld(), count: 3, listening: IPAddress.IPv6Any);
        (Socket client, Socket server) = await scene.ConnectAsync(0);
        Assert.Equal(AddressFamily.InterNetworkV6, server.AddressFamily);
        int at = 0;
        foreach (int next in (int[])[1, 2, 0, 1, 0])
        {
            server = await scene.MoveAsync(server, at, next);
            at = next;

            // What the new owner has is of the family that its listener has, and its client the same.
            Assert.Equal(AddressFamily.InterNetworkV6, server.AddressFamily);
            var remote = (IPEndPoint)server.RemoteEndPoint!;
            Assert.True(remote.Address.IsIPv4MappedToIPv6, remote.ToString());
            Assert.Equal(((IPEndPoint)client.LocalEndPoint!).Port, remote.Port);
            await WorkerScene.AssertCarriesAsync(client, server, Length, seed: next);
        }

        Assert.Empty(scene.World.GivenOf(0));
    }
}
