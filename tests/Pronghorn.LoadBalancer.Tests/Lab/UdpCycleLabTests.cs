// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks;
using Pronghorn.Lab;
using Pronghorn.Lab.Services;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Tests.DataPlane;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Lab;

/// <summary>One client's socket sends datagrams on and on while its server goes and another comes.</summary>
[Collection(TestCgroup.Collection)]
public sealed class UdpCycleLabTests(ServiceWorld world) : IClassFixture<ServiceWorld>
{
    private const int Patience = 5000;

    [Fact]
    public async Task ServerPodCycles_ClusterIp_UnconnectedSocket_TheNextServerAnswers()
    {
        Service service = world.MakeService();
        await world.ApplyAsync(service, 0);
        using Socket client = world.Lab.Open(world.Client, IpProtocol.Udp, null)[0];
        var destination = new IPEndPoint(IPAddress.Parse(service.Spec.ClusterIP!), 80);
        SendTo(client, destination);
        AnswerFrom(0, client);

        await world.ApplyAsync(service, 1);

        SendTo(client, destination);
        AnswerFrom(1, client);
    }

    [Fact]
    public async Task ServerPodCycles_ClusterIp_ConnectedSocket_IsEndedAndConnectsAnew()
    {
        Service service = world.MakeService();
        await world.ApplyAsync(service, 0);
        using Socket client = world.Lab.Open(world.Client, IpProtocol.Udp, null)[0];
        var destination = new IPEndPoint(IPAddress.Parse(service.Spec.ClusterIP!), 80);
        client.Connect(destination);
        client.Send([1]);
        AnswerFrom(0, client);

        await world.ApplyAsync(service, 1);

        // The program learns of it as of any error (ECONNABORTED), instead of sending to nobody for ever.
        Assert.Throws<SocketException>(() => client.Receive(new byte[1]));
        using Socket next = world.Lab.Open(world.Client, IpProtocol.Udp, null)[0];
        next.Connect(destination);
        next.Send([1]);
        AnswerFrom(1, next);
    }

    [Fact]
    public async Task ServerPodCycles_NodePort_OutsideClient_TheNextServerAnswers()
    {
        Service service = world.MakeService(spec => spec with { Type = "NodePort" });
        await world.ApplyAsync(service, 0);
        using Socket client = world.Lab.Open(world.Outside, IpProtocol.Udp, null)[0];
        var destination = new IPEndPoint(IPAddress.Parse(ServiceNode.NodeAddress), service.Spec.Ports![1].NodePort);
        client.Connect(destination);
        client.Send([1]);
        AnswerFrom(0, client);

        await world.ApplyAsync(service, 1);

        // The same source port. The packet layer looks after a flow a few times a second, not at each packet, so the client goes on.
        Server next = world.ServerOf(1, IpProtocol.Udp);
        bool isReached = false;
        for (int i = 0; i < 100 && !isReached; i++)
        {
            client.Send([1]);
            isReached = next.Socket.Poll(Patience * 10, SelectMode.SelectRead);
        }

        AnswerFrom(1, client);
        Drain(0);
        Drain(1);
    }

    [Fact]
    public async Task ServerComesAfterTheClient_TheClientsSocketReachesIt()
    {
        Service service = world.MakeService();
        await world.ApplyAsync(service, (int[])[]);
        using Socket client = world.Lab.Open(world.Client, IpProtocol.Udp, null)[0];
        var destination = new IPEndPoint(IPAddress.Parse(service.Spec.ClusterIP!), 80);
        SocketException refusal = Assert.Throws<SocketException>(() => SendTo(client, destination));
        Assert.Equal(SocketError.ConnectionRefused, refusal.SocketErrorCode);

        await world.ApplyAsync(service, 0);

        SendTo(client, destination);
        AnswerFrom(0, client);
    }

    /// <summary>Forgets what a pod's server was sent and did not read.</summary>
    private void Drain(int pod)
    {
        Socket socket = world.ServerOf(pod, IpProtocol.Udp).Socket;
        while (socket.Available > 0)
        {
            EndPoint source = new IPEndPoint(IPAddress.Any, 0);
            socket.ReceiveFrom(new byte[16], ref source);
        }
    }

    private static void SendTo(Socket client, IPEndPoint destination) => client.SendTo([1], destination);

    /// <summary>Waits for the datagram at a pod's server, answers it, and takes the answer.</summary>
    private void AnswerFrom(int pod, Socket client)
    {
        byte[] buffer = new byte[16];
        Server server = world.ServerOf(pod, IpProtocol.Udp);
        server.Socket.ReceiveTimeout = Patience;
        client.ReceiveTimeout = Patience;
        EndPoint source = new IPEndPoint(IPAddress.Any, 0);
        server.Socket.ReceiveFrom(buffer, ref source);
        server.Socket.SendTo([(byte)(pod + 1)], source);
        Assert.Equal(1, client.Receive(buffer));
        Assert.Equal(pod + 1, buffer[0]);
    }
}
