// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Pronghorn.LoadBalancer.DataPlane;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>What C# and bpf/common/service_connections.h say about the same memory.</summary>
public sealed class PacketLayoutTests(PacketNode node) : IClassFixture<PacketNode>
{
    [Fact]
    public void Structures_HaveTheSizesOfTheMaps()
    {
        Assert.Equal(node["connections"].KeySize, Unsafe.SizeOf<ConnectionKey>());
        Assert.Equal(node["connections"].ValueSize, Unsafe.SizeOf<ConnectionEntry>());
        Assert.Equal(node["devices"].ValueSize, Unsafe.SizeOf<DeviceValue>());
        Assert.Equal(node["vlans"].KeySize, Unsafe.SizeOf<VlanKey>());
    }

    [Fact]
    public void Counters_HaveTheNamesAndOrderOfTheProgram()
    {
        string header = File.ReadAllText(Path.Combine(SourceTree.Root, "bpf", "common", "service_connections.h"));
        string body = Regex.Match(header, @"enum packet_counter \{(.*?)PACKET_COUNTERS", RegexOptions.Singleline).Groups[1].Value;
        string[] program =
        [
            .. Regex.Matches(body, @"PACKET_(\w+),").Select(match => match.Groups[1].Value.Replace("_", "", StringComparison.Ordinal)),
        ];
        Assert.Equal(program, Enum.GetNames<PacketCounter>().Select(name => name.ToUpperInvariant()));
        Assert.Equal((uint)program.Length, node["packet_counters"].MaximumEntries);
    }
}
