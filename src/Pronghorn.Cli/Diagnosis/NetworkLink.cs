// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Pronghorn.Cli.Diagnosis;

/// <summary>One interface as <c>ip -j -d link</c> prints it; only what the checks need.</summary>
internal sealed record NetworkLink
{
    [JsonPropertyName("ifname")]
    public string Name { get; init; } = "";

    /// <summary>Name of the other end, where it is in the same namespace.</summary>
    [JsonPropertyName("link")]
    public string? Peer { get; init; }

    [JsonPropertyName("flags")]
    public string[] Flags { get; init; } = [];

    [JsonPropertyName("mtu")]
    public int Mtu { get; init; }

    [JsonPropertyName("link_type")]
    public string LinkType { get; init; } = "";

    [JsonPropertyName("linkinfo")]
    public NetworkLinkInfo? Info { get; init; }

    [JsonPropertyName("xdp")]
    public NetworkLinkXdp? Xdp { get; init; }

    internal bool IsUp => System.Array.IndexOf(Flags, "UP") >= 0;

    internal bool IsEthernet => LinkType == "ether";

    internal bool IsVeth => Info?.Kind == "veth";

    internal static IReadOnlyList<NetworkLink> Parse(string json) =>
        JsonSerializer.Deserialize(json, JsonFormat.Default.NetworkLinkArray) ?? [];
}

/// <summary>Kind of a virtual interface.</summary>
internal sealed record NetworkLinkInfo
{
    [JsonPropertyName("info_kind")]
    public string? Kind { get; init; }
}

/// <summary>The XDP program on an interface.</summary>
internal sealed record NetworkLinkXdp
{
    [JsonPropertyName("mode")]
    public JsonElement Mode { get; init; }

    [JsonPropertyName("prog")]
    public NetworkLinkProgram? Program { get; init; }
}

/// <summary>Identity of an XDP program.</summary>
internal sealed record NetworkLinkProgram
{
    [JsonPropertyName("id")]
    public int Id { get; init; }

    [JsonPropertyName("name")]
    public string? Name { get; init; }
}
