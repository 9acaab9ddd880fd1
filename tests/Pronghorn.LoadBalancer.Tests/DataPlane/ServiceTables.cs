// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Bpf;
using Pronghorn.LoadBalancer.DataPlane;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>What a view says, in the tests' own words; see struct service_view.</summary>
public readonly record struct ViewBytes(byte Action, uint Set = 0, uint Count = 0, byte Flags = 0)
{
    public static ViewBytes Reject => new(2);

    public static ViewBytes Drop => new(3);

    public static ViewBytes Forward(uint set, int count, byte flags = 0) => new(1, set, (uint)count, flags);
}

/// <summary>
/// Fills the pinned maps by hand, byte by byte as bpf/common/service_maps.h lays them out, so that the layout is tested
/// independently of the code that writes them otherwise.
/// </summary>
public sealed class ServiceTables : IDisposable
{
    private const int NodeAddressSource = 1;
    private const int NodeAddressPorts = 2;

    private readonly PinLayout _pins;
    private readonly Dictionary<string, BpfMap> _maps = [];
    private uint _lastId;

    public ServiceTables(PinLayout pins) => _pins = pins;

    public BpfMap this[string name]
    {
        get
        {
            if (!_maps.TryGetValue(name, out BpfMap? map))
            {
                map = BpfMap.OpenPinned(_pins.Map(name));
                _maps[name] = map;
            }

            return map;
        }
    }

    public uint NextId() => ++_lastId;

    public void SetNodeNamespace(ulong cookie)
    {
        byte[] value = new byte[this["settings"].ValueSize];
        MemoryMarshal.Write(value, cookie);
        Assert.Equal(0, this["settings"].Update(Bytes(0u), value));
    }

    public void AddNodeAddress(string address, bool servesPorts) =>
        Assert.Equal(0, this["node_addresses"].Update(
            AddressBytes(IPAddress.Parse(address)), Bytes(NodeAddressSource | (servesPorts ? NodeAddressPorts : 0))));

    public uint AddBackend(string address, int port, ProtocolType protocol)
    {
        uint id = NextId();
        Assert.Equal(0, this["backends"].Update(Bytes(id), [.. EndBytes(IPAddress.Parse(address), port), (byte)protocol, 1]));
        return id;
    }

    public uint AddSet(params uint[] backends)
    {
        uint set = NextId();
        for (uint slot = 0; slot < backends.Length; slot++)
        {
            SetSlot(set, slot, backends[slot]);
            Assert.Equal(0, this["members"].Update([.. Bytes(set), .. Bytes(backends[slot])], Bytes(1u)));
        }

        return set;
    }

    public void SetSlot(uint set, uint slot, uint backend) =>
        Assert.Equal(0, this["slots"].Update([.. Bytes(set), .. Bytes(slot)], Bytes(backend)));

    public void RemoveMember(uint set, uint backend) =>
        Assert.Equal(0, this["members"].Delete([.. Bytes(set), .. Bytes(backend)]));

    /// <summary>A service of which pods and the node have the same view, and external clients none.</summary>
    public uint AddService(string address, int port, ProtocolType protocol, ViewBytes view, uint affinitySeconds = 0) =>
        AddService(address, port, protocol, view, view, affinitySeconds);

    public uint AddService(string address, int port, ProtocolType protocol, ViewBytes pod, ViewBytes node, uint affinitySeconds = 0)
    {
        uint id = NextId();
        Put(id, address, port, protocol, pod, node, affinitySeconds);
        Assert.Equal(0, this["service_counts"].Update(Bytes(id), new byte[40 * BpfMap.PossibleProcessors]));
        return id;
    }

    public void Put(uint id, string address, int port, ProtocolType protocol, ViewBytes pod, ViewBytes node, uint affinitySeconds = 0)
    {
        byte[] key = [.. EndBytes(IPAddress.Parse(address), port), (byte)protocol, 0];
        byte[] value =
        [
            .. Bytes(id), .. Bytes(affinitySeconds), 0, 0, 1, 0, .. Bytes(pod), .. Bytes(node), .. Bytes(ViewBytes.Drop),
        ];
        Assert.Equal(0, this["services"].Update(key, value));
    }

    /// <summary>Connections, refused and dropped ones of a service.</summary>
    public (ulong Connections, ulong Rejected, ulong Dropped) Count(uint service)
    {
        var counts = new ServiceCount[BpfMap.PossibleProcessors];
        Assert.Equal(0, this["service_counts"].LookupPerProcessor<uint, ServiceCount>(service, counts));
        return (Sum(counts, c => c.Connections), Sum(counts, c => c.Rejected), Sum(counts, c => c.Dropped));
    }

    /// <summary>A counter of an array map such as socket_counts.</summary>
    public ulong Counter(string map, int which)
    {
        ulong[] counts = new ulong[BpfMap.PossibleProcessors];
        Assert.Equal(0, this[map].LookupPerProcessor<uint, ulong>((uint)which, counts));
        return Sum(counts, c => c);
    }

    /// <summary>How many ways back are stored to a backend.</summary>
    public int CountReverse(string address, int port)
    {
        byte[] end = EndBytes(IPAddress.Parse(address), port);
        List<Words32> keys = [];
        Assert.Equal(0, this["socket_reverse"].ReadKeys(keys));
        return keys.Count(key => MemoryMarshal.AsBytes(new ReadOnlySpan<Words32>(in key)).Slice(8, end.Length).SequenceEqual(end));
    }

    /// <summary>Makes the remembered choices of a service older.</summary>
    public void AgeAffinity(uint service, ulong seconds)
    {
        List<KeyValuePair<Words24, Words16>> all = [];
        Assert.Equal(0, this["affinity"].ReadAll(all));
        foreach ((Words24 key, Words16 value) in all)
        {
            if ((uint)key.First == service)
            {
                Assert.Equal(0, this["affinity"].Update(key, value with { First = value.First - (seconds * 1_000_000_000) }));
            }
        }
    }

    public void Dispose()
    {
        foreach (BpfMap map in _maps.Values)
        {
            map.Dispose();
        }
    }

    private static ulong Sum<T>(T[] items, Func<T, ulong> select)
    {
        ulong sum = 0;
        foreach (T item in items)
        {
            sum += select(item);
        }

        return sum;
    }

    private static byte[] AddressBytes(IPAddress address) => address.MapToIPv6().GetAddressBytes();

    private static byte[] EndBytes(IPAddress address, int port)
    {
        byte[] bytes = [.. AddressBytes(address), 0, 0];
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(16), (ushort)port);
        return bytes;
    }

    private static byte[] Bytes(uint value) => BitConverter.GetBytes(value);

    private static byte[] Bytes(int value) => BitConverter.GetBytes(value);

    private static byte[] Bytes(ViewBytes view) => [.. Bytes(view.Set), .. Bytes(view.Count), view.Action, view.Flags, 0, 0];

    private readonly record struct Words16(ulong First, ulong Second);

    private readonly record struct Words24(ulong First, ulong Second, ulong Third);

    private readonly record struct Words32(ulong First, ulong Second, ulong Third, ulong Fourth);

    [StructLayout(LayoutKind.Sequential)]
    private struct ServiceCount
    {
        public ulong Connections;
        public ulong Rejected;
        public ulong Dropped;
        public ulong Packets;
        public ulong Bytes;
    }
}
