// SPDX-License-Identifier: Apache-2.0
using System;
using System.Threading;
using Pronghorn.Lab;
using Pronghorn.Linux.Bpf;
using Pronghorn.LoadBalancer.DataPlane;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>
/// The socket layer on a cgroup that this process is in, with two network namespaces: one is the node's, one a pod's. Both
/// have the backends' addresses on their loopback interface, so that a connection to a backend stays inside.
/// </summary>
public sealed class SocketLayerFixture : IDisposable
{
    public const string NodeAddress = "192.168.7.1";
    public const string NodeAddress6 = "fd00:7::1";
    public const string OtherNodeAddress = "192.168.8.1";

    private readonly LabBpfFileSystem _files = new();
    private int _lastNumber;

    public SocketLayerFixture()
    {
        Pins = new PinLayout("test", _files.Root);
        Layer = new SocketLayer(Pins);
        string prefix = LabCleanup.CreatePrefix();
        Node = CreateNamespace(prefix + "-node");
        Pod = CreateNamespace(prefix + "-pod");
        Layer.Start(Cgroup.Path, SmallMaps);
        Tables = new ServiceTables(Pins);
        Tables.SetNodeNamespace(CookieOf(Node));
        Tables.AddNodeAddress("127.0.0.1", servesPorts: true);
        Tables.AddNodeAddress(NodeAddress, servesPorts: true);
        Tables.AddNodeAddress(NodeAddress6, servesPorts: true);
        Tables.AddNodeAddress(OtherNodeAddress, servesPorts: false);
    }

    public static MapSizes SmallMaps { get; } = new()
    {
        Services = 1000,
        Slots = 1000,
        Backends = 1000,
        Members = 1000,
        SourceRanges = 100,
        ServiceCounts = 1000,
        Affinity = 1000,
        MaglevSets = 100,
        MaglevSize = 251,
        Sockets = 1000,
    };

    public TestCgroup Cgroup { get; } = new();

    public PinLayout Pins { get; }

    public SocketLayer Layer { get; }

    public ServiceTables Tables { get; }

    public NetworkNamespace Node { get; }

    public NetworkNamespace Pod { get; }

    /// <summary>A number that no other test has, for ports and addresses.</summary>
    public int NextNumber() => Interlocked.Increment(ref _lastNumber);

    public void Dispose()
    {
        Tables.Dispose();
        Layer.Stop();
        Pins.Remove();
        Node.Dispose();
        Pod.Dispose();
        Cgroup.Dispose();
        _files.Dispose();
    }

    private static ulong CookieOf(NetworkNamespace place) => NamespaceThread.Run(place, () =>
    {
        Assert.Equal(0, NamespaceCookie.TryGet(out ulong cookie));
        return cookie;
    });

    private static NetworkNamespace CreateNamespace(string name)
    {
        NetworkNamespace place = NetworkNamespace.Create(name);
        foreach (string address in (string[])["10.244.0.2/32", "10.244.0.3/32", NodeAddress + "/32", OtherNodeAddress + "/32"])
        {
            place.Run("ip", "address", "add", address, "dev", "lo");
        }

        foreach (string address in (string[])["fd00::2/128", "fd00::3/128", NodeAddress6 + "/128"])
        {
            place.Run("ip", "address", "add", address, "dev", "lo", "nodad");
        }

        return place;
    }
}
