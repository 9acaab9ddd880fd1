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
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), DaemonConfigurationJson.Default.DaemonConfiguration)
                ?? new DaemonConfiguration();
        }
        catch (JsonException mistake)
        {
            throw new IOException($"{path}:{mistake.LineNumber + 1}: {mistake.Path}: {mistake.Message}", mistake);
        }
    }
}

/// <summary>Reads configuration files by generated code.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    ReadCommentHandling = JsonCommentHandling.Skip,
    AllowTrailingCommas = true)]
[JsonSerializable(typeof(DaemonConfiguration))]
internal sealed partial class DaemonConfigurationJson : JsonSerializerContext;
