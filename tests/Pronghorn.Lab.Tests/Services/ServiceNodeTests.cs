// SPDX-License-Identifier: Apache-2.0
using System.IO;
using System.Net;
using System.Net.Sockets;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Lab.Tests.Services;

public sealed class ServiceNodeTests
{
    [Fact]
    public void NewNode_ConnectsPodsAndClientInBothFamilies_AndIsGoneAfterDispose()
    {
        string group;
        string pod;
        using (ServiceNode node = ServiceNode.Create(new ServiceNodeOptions { MoreAddresses = 1 }))
        {
            group = node.ControlGroupPath;
            pod = node.Pods[0].Name;

            Assert.Equal(ServiceNode.PodAddress(1), SeenBy(node.Pods[0], node.Pods[1], ServiceNode.PodAddress(0)));
            Assert.Equal(ServiceNode.PodAddress(1), SeenBy(node.Pods[0], node.Pods[1], ServiceNode.MoreAddress(0)));
            Assert.Equal(ServiceNode.PodAddress6(1), SeenBy(node.Pods[0], node.Pods[1], ServiceNode.PodAddress6(0)));
            Assert.Equal(ServiceNode.ExternalAddress, SeenBy(node.Pods[0], node.External, ServiceNode.PodAddress(0)));
            Assert.Equal(ServiceNode.ExternalAddress6, SeenBy(node.Pods[0], node.External, ServiceNode.PodAddress6(0)));
            Assert.Equal(ServiceNode.NodeAddress, SeenBy(node.External, node.Node, ServiceNode.ExternalAddress));
        }

        Assert.False(Directory.Exists(group));
        Assert.False(NetworkNamespace.Exists(pod));
    }

    [Fact]
    public void Program_StartedOnTheNodeOrInAPod_IsInTheGroupAndTheClientOutsideIsNot()
    {
        using ServiceNode node = ServiceNode.Create(new ServiceNodeOptions { Pods = 1, Ipv6 = false });
        string group = "0::/" + Path.GetFileName(node.ControlGroupPath);

        Assert.Contains(group, node.Run(node.Node, "cat", "/proc/self/cgroup").Split('\n'));
        Assert.Contains(group, node.Run(node.Pods[0], "cat", "/proc/self/cgroup").Split('\n'));
        Assert.DoesNotContain(group, node.Run(node.External, "cat", "/proc/self/cgroup").Split('\n'));
    }

    /// <summary>Connects from one place to an address in another, and returns whom the server saw.</summary>
    private static string SeenBy(NetworkNamespace server, NetworkNamespace client, string address)
    {
        var end = new IPEndPoint(IPAddress.Parse(address), 0);
        using Socket listener = NamespaceThread.Run(server, () =>
        {
            var made = new Socket(end.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            made.Bind(end);
            made.Listen();
            return made;
        });
        end.Port = ((IPEndPoint)listener.LocalEndPoint!).Port;
        using Socket connected = NamespaceThread.Run(client, () =>
        {
            var made = new Socket(end.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            made.Connect(end);
            return made;
        });
        using Socket accepted = listener.Accept();
        return ((IPEndPoint)accepted.RemoteEndPoint!).Address.ToString();
    }
}
