// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using System.Threading.Tasks;
using Pronghorn.Lab.Cdn.Content;
using Pronghorn.Lab.Cdn.Network;
using Pronghorn.Lab.Cdn.Servers;
using Pronghorn.Lab.Cdn.Topology;
using Xunit;
using Xunit.Abstractions;

namespace Pronghorn.Lab.Cdn.Tests.Live;

/// <summary>Programs that know nothing of handoff, while their connections go from edge to edge.</summary>
public sealed partial class PlayerTests(PlayerTests.World world, ITestOutputHelper output) : IClassFixture<PlayerTests.World>
{
    private const int Edges = 3;
    private const int LeastMoves = 5;
    private const string Limit = "60";

    private static readonly HashRing s_ring = new(PopStructure.Parse(
        [.. Enumerable.Range(1, Edges).Select(static number => FormattableString.Invariant($"node = edge-{number} 10.2.0.{10 + number}"))],
        "pop_struct.conf"));

    private CdnLab Lab => world.Lab;

    [Fact]
    public async Task Ffmpeg_ReadsHttpFlv_WhileItsConnectionMovesEachSecond()
    {
        // Paced a little slower than it plays, so that it lasts for ten seconds at least.
        long rate = new FileInfo(world.PathOf(World.Flv)).Length * 8 / World.Seconds / 1000;
        Counts before = await ReadAsync(Lab);
        string got = Play(Url(FormattableString.Invariant($"/media/{World.Flv}/{rate}")));
        Counts moved = await ReadAsync(Lab) - before;
        Assert.Equal(Hash(world.PathOf(World.Flv)), got);

        // One connection and one request, so nothing was asked for again.
        Assert.Equal((1, 1, 0), (moved.Clients, moved.Requests, moved.Relayed));
        Assert.True(moved.Taken >= LeastMoves, $"it moved {moved.Taken} times only; {moved.LastReason}");
        output.WriteLine((moved with { LastReason = "" }).ToString());
    }

    [Fact]
    public async Task Ffmpeg_ReadsHls_WhileItsConnectionGoesToEachSegmentsOwner()
    {
        string[] segments = [.. File.ReadLines(world.PathOf(World.Playlist)).Where(static line => !line.StartsWith('#'))];
        int changes = CountChanges(segments);
        Assert.True(changes >= LeastMoves, $"{segments.Length} segments, {changes} of them by another edge than the one before");

        // As fast as it plays: a segment each second. One connection is for the playlist, and one, one segment at a time, for all others.
        Counts before = await ReadAsync(Lab);
        string got = Play(Url("/media/" + World.Playlist), "-re", "-http_persistent", "1", "-http_multiple", "0");
        Counts moved = await ReadAsync(Lab) - before;
        Assert.Equal(Hash(world.PathOf(World.Playlist)), got);
        Assert.Equal((2, segments.Length + 1, 0), (moved.Clients, moved.Requests, moved.Relayed));
        Assert.True(moved.Taken >= changes, $"it moved {moved.Taken} times only, of {changes}; {moved.LastReason}");
        output.WriteLine((moved with { LastReason = "" }).ToString());
    }

    [Fact]
    public async Task Wrk_GetsEveryAnswer_WhileItsConnectionsGoFromEdgeToEdge()
    {
        string script = world.PathOf("names.lua");
        await File.WriteAllTextAsync(script, """
            local number = 0
            function request()
              number = number + 1
              return wrk.format("GET", "/file/wrk-" .. number % 64 .. "/2000")
            end
            function done(summary, latency, requests)
              local errors = summary.errors
              io.write(string.format("requests=%d connect=%d read=%d write=%d timeout=%d status=%d\n",
                summary.requests, errors.connect, errors.read, errors.write, errors.timeout, errors.status))
            end
            """);

        // A lab of its own: what wrk has asked for when its time is over goes on being answered.
        await using CdnLab lab = await CdnLab.CreateAsync(World.Options());
        string said = Run(lab, "wrk", "-t1", "-c8", "-d3s", "--timeout", "10s", "-s", script, Url("/"));
        Counts moved = await ReadAsync(lab);
        Match found = WrkResult().Match(said);
        Assert.True(found.Success, said);
        Assert.True(long.Parse(found.Groups[1].Value, CultureInfo.InvariantCulture) > 0, said);
        Assert.True(found.Groups[2].Value == "connect=0 read=0 write=0 timeout=0 status=0", said + moved.LastReason);
        Assert.True(moved.Taken > 0, moved.LastReason);
        output.WriteLine($"{said}{moved with { LastReason = "" }}");
    }

    [Fact]
    public async Task Curl_GetsAStreamThatMoves_AndAFileOverTheSameConnection()
    {
        const int Bytes = 2_000_000 / 8 * 3;
        const int Size = 100_000;
        string stream = world.PathOf("got-stream");
        string file = world.PathOf("got-file");
        Counts before = await ReadAsync(Lab);
        string said = Run(
            Lab, "curl", "-sS", "--fail", "-w", "%{num_connects} ", "-o", stream, Url("/live/roaming/2/3"), "-o", file,
            Url(FormattableString.Invariant($"/file/roaming/{Size}")));
        Counts moved = await ReadAsync(Lab) - before;
        Assert.Equal("1 0", said.Trim());
        Assert.Equal(Generated(Bytes), await File.ReadAllBytesAsync(stream));
        Assert.Equal(Generated(Size), await File.ReadAllBytesAsync(file));
        Assert.Equal((1, 2), (moved.Clients, moved.Requests));
        Assert.True(moved.Taken > 0, moved.LastReason);
    }

    [Theory]
    [InlineData(LasWay.Relay)]
    [InlineData(LasWay.Splice)]
    [InlineData(LasWay.Handoff)]
    public void Media_ComesWholeFromWhereverItBelongs(LasWay way)
    {
        string got = world.PathOf("got-media");
        string[] files = [.. Directory.GetFiles(Path.GetDirectoryName(got)!, "part-*").Order().Take(4), world.PathOf(World.Flv)];
        foreach (string file in files)
        {
            // At 100 Mbit/s a stream is over at once.
            foreach (string end in (string[])["", "/100000"])
            {
                Run(Lab, "curl", "-sS", "--fail", "-o", got, Url("/media/" + Path.GetFileName(file) + end, way));
                Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(got));
            }
        }
    }

    [Theory]
    [InlineData("/media/nothing.flv")]
    [InlineData("/media/..")]
    [InlineData("/media/link.flv")]
    [InlineData("/media/../names.lua")]
    [InlineData("/media/%2e%2e")]
    [InlineData("/media/folder")]
    [InlineData("/media/nothing.flv/100")]
    public void NoFileOfTheFolder_IsNotFound(string path) =>
        Assert.Equal("404", Run(Lab, "curl", "-sS", "--path-as-is", "-o", "/dev/null", "-w", "%{http_code}", Url(path)));

    private static int CountChanges(IEnumerable<string> names)
    {
        string[] owners = [.. names.Select(static name => s_ring.Find(name).Name)];
        return owners.Zip(owners.Skip(1)).Count(static pair => pair.First != pair.Second);
    }

    /// <summary>Each frame's hash, decoded.</summary>
    private string Play(string url, params string[] options) =>
        Run(Lab, "ffmpeg", ["-v", "error", "-nostdin", .. options, "-i", url, "-f", "framemd5", "-"]);

    private static string Hash(string file) =>
        LabCommand.Run("timeout", Limit, "ffmpeg", "-v", "error", "-nostdin", "-i", file, "-f", "framemd5", "-");

    private static string Url(string path, LasWay way = LasWay.Handoff) =>
        FormattableString.Invariant($"http://{CdnLab.ServiceAddress}:{CdnLab.PortOf(way)}{path}");

    private static byte[] Generated(int length)
    {
        byte[] bytes = new byte[length];
        GeneratedContent.Fill("roaming", 0, bytes);
        return bytes;
    }

    private static string Run(CdnLab lab, string program, params string[] words)
    {
        LabOutput ended = lab.Client.TryRun("timeout", [Limit, program, .. words]);
        Assert.True(ended is { ExitCode: 0, Error: "" }, $"{program} ended with {ended.ExitCode}: {ended.Error}");
        return ended.Output;
    }

    private static async Task<Counts> ReadAsync(CdnLab lab)
    {
        LasStatus[] all = await Task.WhenAll(lab.Edges.Select(edge => lab.AskServerAsync(edge, LasWay.Handoff)));
        return new Counts(
            all.Sum(static one => one.Clients), all.Sum(static one => one.Local), all.Sum(static one => one.Relayed),
            all.Sum(static one => one.Given), all.Sum(static one => one.Taken), all.Sum(static one => one.Stayed),
            string.Join(' ', all.Select(static one => one.LastReason)));
    }

    [GeneratedRegex(@"requests=(\d+) (.*)")]
    private static partial Regex WrkResult();

    private sealed record Counts(long Clients, long Requests, long Relayed, long Given, long Taken, long Stayed, string LastReason)
    {
        public static Counts operator -(Counts after, Counts before) => new(
            after.Clients - before.Clients, after.Requests - before.Requests, after.Relayed - before.Relayed,
            after.Given - before.Given, after.Taken - before.Taken, after.Stayed - before.Stayed, after.LastReason);
    }

    /// <summary>A film in both forms, and a lab whose edges have it and keep a stream for a second.</summary>
    public sealed class World : IAsyncLifetime
    {
        internal const int Seconds = 10;
        internal const string Flv = "film.flv";
        internal const string Playlist = "film.m3u8";

        private readonly string _folder = Directory.CreateTempSubdirectory("cdn-players-").FullName;

        public CdnLab Lab { get; private set; } = null!;

        /// <inheritdoc/>
        public async Task InitializeAsync()
        {
            Require("ffmpeg", "wrk", "curl");
            Directory.CreateDirectory(PathOf("folder"));
            File.CreateSymbolicLink(PathOf("link.flv"), "/etc/hostname");
            Make("-f", "flv", PathOf(Flv));

            // Names of which each belongs to another edge than the one before.
            string name = Enumerable.Range(0, 10_000).Select(static number => FormattableString.Invariant($"part-{number}-")).First(
                static name => CountChanges(Enumerable.Range(0, Seconds).Select(part => $"{name}{part}.ts")) == Seconds - 1);
            string segments = PathOf(name + "%d.ts");
            Make("-f", "hls", "-hls_time", "1", "-hls_list_size", "0", "-hls_segment_filename", segments, PathOf(Playlist));
            Lab = await CdnLab.CreateAsync(Options() with { Media = _folder, Roam = TimeSpan.FromSeconds(1) });
        }

        /// <summary>Also called where making it has failed.</summary>
        public async Task DisposeAsync()
        {
            if (Lab is not null)
            {
                await Lab.DisposeAsync();
            }

            Directory.Delete(_folder, recursive: true);
        }

        internal static CdnLabOptions Options() =>
            new() { Program = [CdnLabTests.World.ProgramPath()], Edges = PlayerTests.Edges };

        internal string PathOf(string name) => Path.Combine(_folder, name);

        private static void Require(params IReadOnlyList<string> programs)
        {
            foreach (string program in programs)
            {
                if (LabCommand.TryRun("which", program).ExitCode != 0)
                {
                    throw new InvalidOperationException($"these tests need {program}: eng/install.sh test installs it");
                }
            }
        }

        // A key frame each second, where segments can be cut.
        private static void Make(params string[] output) => LabCommand.Run("timeout", [
            Limit, "ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=25", "-f", "lavfi", "-i", "sine",
            "-t", Seconds.ToString(CultureInfo.InvariantCulture), "-g", "25", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt",
            "yuv420p", "-c:a", "aac", "-b:a", "64k", .. output,
        ]);
    }
}
