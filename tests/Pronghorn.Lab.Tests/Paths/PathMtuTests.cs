// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Linq;
using Pronghorn.Lab.Tests.Redis;
using Pronghorn.Runtime.Statistics;
using Xunit;

namespace Pronghorn.Lab.Tests.Paths;

/// <summary>A peer behind a gateway, on a way that takes only smaller packets than the first link.</summary>
public sealed class PathMtuTests
{
    private const int Length = 3_000_000;

    [Fact]
    public void NarrowLinkBehindARouter_LargeValue_ArrivesWholeAfterOneReduction()
    {
        using var hosts = new RoutedHosts();
        DirectoryInfo directory = Directory.CreateTempSubdirectory("pronghorn-path-");
        try
        {
            string sent = Path.Combine(directory.FullName, "sent");
            string received = Path.Combine(directory.FullName, "received");
            byte[] value = new byte[Length];
            new Random(1).NextBytes(value);
            File.WriteAllBytes(sent, value);
            using RedisServer server = RedisServer.Start(
                Side.Pronghorn, hosts.Server, RoutedHosts.ServerAddress, directory.FullName);

            Client(hosts, $"-x set key < {sent}");
            Client(hosts, $"get key > {received}");

            byte[] got = File.ReadAllBytes(received);
            Assert.Equal(Length + 1, got.Length); // redis-cli ends a value with a line feed
            Assert.True(got.AsSpan(0, Length).SequenceEqual(value));
            Assert.InRange(ReadCounter(hosts, server, "path_mtu_reductions"), 1, 4);
            Assert.Equal(0, ReadCounter(hosts, server, "tcp_timeouts"));
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    private static void Client(RoutedHosts hosts, string arguments) =>
        hosts.Client.Run("bash", "-c", $"redis-cli -h {RoutedHosts.ServerAddress} {arguments}");

    private static long ReadCounter(RoutedHosts hosts, RedisServer server, string name)
    {
        string path = Path.Combine(StatisticsPage.Directory, server.Id.ToString(CultureInfo.InvariantCulture));
        Assert.Equal(0, StatisticsReader.Open(path, out StatisticsReader? reader));
        using (reader)
        {
            uint request = reader!.Request();
            while (!reader.IsAnswered(request))
            {
                Client(hosts, "ping");
            }

            Assert.True(reader.TryRead(out _, out StatisticsCounter[] counters, out _));
            return counters.First(counter => StatisticsReader.NameOf(counter) == name).Value;
        }
    }
}
