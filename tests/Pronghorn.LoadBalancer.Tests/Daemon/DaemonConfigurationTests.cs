// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using Pronghorn.LoadBalancer.Daemon;
using Pronghorn.LoadBalancer.DataPlane;
using Pronghorn.LoadBalancer.Planning;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Daemon;

public sealed class DaemonConfigurationTests : IDisposable
{
    private readonly string _file = Path.GetTempFileName();

    public void Dispose() => File.Delete(_file);

    [Fact]
    public void SomeSettings_OthersKeepTheirDefaults()
    {
        DaemonConfiguration configuration = Read("""
            {
              // More than the default.
              "maps": { "sourceRanges": 1000 },
              "connections": { "udpTimeout": "00:05:00" },
            }
            """);

        Assert.Equal(new MapSizes { SourceRanges = 1000 }, configuration.Maps);
        Assert.Equal(new ConnectionSettings { UdpTimeout = TimeSpan.FromMinutes(5) }, configuration.Connections);
    }

    [Fact]
    public void EmptyObject_AllDefaults() => Assert.Equal(new DaemonConfiguration(), Read("{}"));

    [Theory]
    [InlineData("{\n\"map\": {}\n}", ":2:", "'map'")]
    [InlineData("{\n\"maps\": {\n\"slots\": -1 } }", ":3:", "$.maps.slots")]
    [InlineData("{\n", ":2:", "")]
    public void Mistake_IsNamedWithItsLine(string text, string line, string name)
    {
        IOException failure = Assert.Throws<IOException>(() => Read(text));

        Assert.Contains(_file + line, failure.Message, StringComparison.Ordinal);
        Assert.Contains(name, failure.Message, StringComparison.Ordinal);
    }

    private DaemonConfiguration Read(string text)
    {
        File.WriteAllText(_file, text);
        return DaemonConfiguration.Read(_file);
    }
}
