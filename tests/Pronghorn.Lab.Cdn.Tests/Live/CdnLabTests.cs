// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Threading.Tasks;
using Pronghorn.Lab.Cdn.Content;
using Pronghorn.Lab.Cdn.Network;
using Pronghorn.Lab.Cdn.Servers;
using Pronghorn.Lab.Cdn.Topology;
using Xunit;

namespace Pronghorn.Lab.Cdn.Tests.Live;

/// <summary>Real processes: clients through the balancer to two edges, each way.</summary>
public sealed class CdnLabTests(CdnLabTests.World world) : IClassFixture<CdnLabTests.World>
{
    private const int Size = 300_007;

    private static readonly HashRing s_ring =
        new(PopStructure.Parse(["node = edge-1 10.2.0.11", "node = edge-2 10.2.0.12"], "pop_struct.conf"));

    private CdnLab Lab => world.Lab;

    [Theory]
    [InlineData(LasWay.Relay)]
    [InlineData(LasWay.Splice)]
    [InlineData(LasWay.Handoff)]
    public async Task Curl_GetsEveryByte_WhileRequestsGoFromNodeToNode(LasWay way)
    {
        string[] names = [.. Enumerable.Range(0, 12).Select(number => FormattableString.Invariant($"{way}-{number}"))];
        string folder = Directory.CreateTempSubdirectory("cdn-test-").FullName;
        try
        {
            // One connection for all: curl keeps it from URL to URL.
            string[] words =
            [
                "curl", "-sS", "--fail", "--max-time", "15", "-w", "%{num_connects} %header{x-cdn-node}\n",
                .. names.SelectMany(name => (string[])["-o", Path.Combine(folder, name), UrlOf(way, name)]),
            ];
            string[] said = Lab.Client.Run(words[0], words[1..]).Split('\n', StringSplitOptions.RemoveEmptyEntries);
            Assert.Equal(1, said.Sum(static line => int.Parse(line.Split(' ')[0], CultureInfo.InvariantCulture)));
            Assert.Equal(names.Select(static name => s_ring.Find(name).Name), said.Select(static line => line.Split(' ')[1]));
            foreach (string name in names)
            {
                byte[] got = await File.ReadAllBytesAsync(Path.Combine(folder, name));
                Assert.Equal(HashOf(name, 0, Size), Convert.ToHexString(SHA256.HashData(got)));
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        long moved = 0;
        foreach (CdnEdge edge in Lab.Edges)
        {
            LasStatus status = await Lab.AskServerAsync(edge, way);
            moved += way == LasWay.Handoff ? status.Given : status.Relayed;
        }

        Assert.True(moved > 0, $"nothing moved by the way {way}");
    }

    [Theory]
    [InlineData(LasWay.Relay)]
    [InlineData(LasWay.Splice)]
    [InlineData(LasWay.Handoff)]
    public void ServerClosesAfterItsAnswer_CurlGetsAllOfIt(LasWay way)
    {
        // Whoever closes while bytes are on their way must not reset them: slowly read, they are in his socket still.
        string[] words =
        [
            "curl", "-sS", "--fail", "--max-time", "30", "-Z", "--limit-rate", "150K", "-H", "Connection: close",
            "-w", "%{size_download}\n",
            .. Enumerable.Range(0, 16).SelectMany(number => (string[])["-o", "/dev/null", UrlOf(way, $"closed-{number}")]),
        ];
        string[] said = Lab.Client.Run(words[0], words[1..]).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(Enumerable.Repeat(Size.ToString(CultureInfo.InvariantCulture), 16), said);
    }

    [Theory]
    [InlineData(LasWay.Relay)]
    [InlineData(LasWay.Splice)]
    [InlineData(LasWay.Handoff)]
    public void Ranges_AreServedFromWhereverTheContentIs(LasWay way)
    {
        foreach (string name in (string[])["range-a", "range-b", "range-c", "range-d"])
        {
            string file = Path.GetTempFileName();
            try
            {
                string status = Lab.Client.Run(
                    "curl", "-sS", "--max-time", "15", "-r", "1000-200999", "-o", file, "-w", "%{http_code}", UrlOf(way, name));
                Assert.Equal("206", status);
                Assert.Equal(HashOf(name, 1000, 200_000), Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file))));
                Assert.Equal("416", Lab.Client.Run(
                    "curl", "-sS", "--max-time", "15", "-r", "900000-", "-o", "/dev/null", "-w", "%{http_code}", UrlOf(way, name)));
            }
            finally
            {
                File.Delete(file);
            }
        }
    }

    [Theory]
    [InlineData(LasWay.Relay)]
    [InlineData(LasWay.Handoff)]
    public void PipelinedRequests_SplitAnywhere_AreAnsweredInTheirOrder(LasWay way)
    {
        string[] names = [.. Enumerable.Range(0, 8).Select(static number => FormattableString.Invariant($"pipe-{number}"))];
        byte[] requests = Encoding.ASCII.GetBytes(string.Concat(
            names.Select(static name => $"GET /file/{name}/5000 HTTP/1.1\r\nHost: cdn\r\n\r\n")));
        using Socket client = Connect(way);
        int half = (requests.Length / 2) - 20;
        client.Send(requests.AsSpan(0, half));
        using var stream = new NetworkStream(client);
        using var reader = new BinaryReader(stream);
        Check(reader, names[0]);
        client.Send(requests.AsSpan(half));
        foreach (string name in names.Skip(1))
        {
            Check(reader, name);
        }
    }

    [Theory]
    [InlineData(LasWay.Relay)]
    [InlineData(LasWay.Splice)]
    [InlineData(LasWay.Handoff)]
    public void Stream_IsPaced_AndWhole(LasWay way)
    {
        const int Bytes = 2_000_000 / 8 * 40 / 1000 * 25;
        foreach (string name in (string[])["live-a", "live-b", "live-c"])
        {
            string file = Path.GetTempFileName();
            try
            {
                string url = $"http://{CdnLab.ServiceAddress}:{CdnLab.PortOf(way)}/live/{name}/2/1";
                Lab.Client.Run("curl", "-sS", "--fail", "--max-time", "15", "-o", file, url);
                Assert.Equal(HashOf(name, 0, Bytes), Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file))));
            }
            finally
            {
                File.Delete(file);
            }
        }
    }

    [Theory]
    [InlineData("GET /nothing HTTP/1.1\r\n\r\n", "HTTP/1.1 404 ")]
    [InlineData("PUT /file/a/1 HTTP/1.1\r\n\r\n", "HTTP/1.1 405 ")]
    [InlineData("hello\r\n", "HTTP/1.1 400 ")]
    public void WhatIsNotServed_IsAnsweredByItsNumber(string request, string answer)
    {
        using Socket client = Connect(LasWay.Handoff);
        client.Send(Encoding.ASCII.GetBytes(request));
        byte[] buffer = new byte[answer.Length];
        new NetworkStream(client).ReadExactly(buffer);
        Assert.Equal(answer, Encoding.ASCII.GetString(buffer));
    }

    private static string UrlOf(LasWay way, string name) =>
        FormattableString.Invariant($"http://{CdnLab.ServiceAddress}:{CdnLab.PortOf(way)}/file/{name}/{Size}");

    private static string HashOf(string name, long offset, int length)
    {
        byte[] bytes = new byte[length];
        GeneratedContent.Fill(name, offset, bytes);
        return Convert.ToHexString(SHA256.HashData(bytes));
    }

    private static void Check(BinaryReader reader, string name)
    {
        var head = new StringBuilder();
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            head.Append((char)reader.ReadByte());
        }

        Assert.StartsWith("HTTP/1.1 200 OK", head.ToString(), StringComparison.Ordinal);
        byte[] body = reader.ReadBytes(5000);
        Assert.Equal(HashOf(name, 0, 5000), Convert.ToHexString(SHA256.HashData(body)));
    }

    private Socket Connect(LasWay way) => NamespaceThread.Run(Lab.Client, () =>
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)
        {
            ReceiveTimeout = 15_000,
            NoDelay = true,
        };
        socket.Connect(IPAddress.Parse(CdnLab.ServiceAddress), CdnLab.PortOf(way));
        return socket;
    });

    /// <summary>One lab for all of these tests.</summary>
    public sealed class World : IAsyncLifetime
    {
        public CdnLab Lab { get; private set; } = null!;

        public async Task InitializeAsync() => Lab = await CdnLab.CreateAsync(new CdnLabOptions { Program = [ProgramPath()], Edges = 2 });

        public async Task DisposeAsync() => await Lab.DisposeAsync();

        internal static string ProgramPath()
        {
            string? at = AppContext.BaseDirectory;
            while (at is not null && !File.Exists(Path.Combine(at, "Pronghorn.slnx")))
            {
                at = Path.GetDirectoryName(at);
            }

            return Path.Combine(at ?? throw new InvalidOperationException("no tree around the tests"), "artifacts", "bin", "pronghorn");
        }
    }
}
