// SPDX-License-Identifier: Apache-2.0
using System.IO;
using System.Text.Json;
using System.Text.Json.Serialization;
using Pronghorn.LoadBalancer.DataPlane;
using Pronghorn.LoadBalancer.Planning;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>The configuration file: what seldom needs another value than the default. JSON; comments are allowed.</summary>
public sealed record DaemonConfiguration
{
    // By reflection: generated code would give the properties that a file leaves out no value instead of their own.
    private static readonly JsonSerializerOptions s_format = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        ReadCommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
    };

    /// <summary>Sizes of the maps.</summary>
    public MapSizes Maps { get; init; } = new();

    /// <summary>Ports and timeouts of the packet layer.</summary>
    public ConnectionSettings Connections { get; init; } = new();

    /// <summary>Reads a file.</summary>
    /// <exception cref="IOException">It cannot be read, or it is wrong: the message says in which line.</exception>
    public static DaemonConfiguration Read(string path)
    {
        try
        {
            return JsonSerializer.Deserialize<DaemonConfiguration>(File.ReadAllBytes(path), s_format) ?? new DaemonConfiguration();
        }
        catch (JsonException mistake)
        {
            throw new IOException($"{path}:{mistake.LineNumber + 1}: {mistake.Path}: {mistake.Message}", mistake);
        }
    }
}
