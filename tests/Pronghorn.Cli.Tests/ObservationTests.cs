// SPDX-License-Identifier: Apache-2.0
using System.IO;
using System.Linq;
using Pronghorn.Cli.Observation;
using Pronghorn.Memory;
using Pronghorn.Runtime.Statistics;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Cli.Tests;

public sealed class ObservationTests
{
    private static readonly SocketSnapshot s_listener = new()
    {
        Pid = 7, Program = "redis-server", State = "LISTEN", RecvQ = 0, SendQ = 511, Local = "10.0.0.2:6379", Peer = "0.0.0.0:*",
    };

    private static readonly SocketSnapshot s_connection = s_listener with
    {
        State = "ESTAB",
        SendQ = 5,
        Peer = "10.0.0.1:40000",
        Transmission = new TransmissionSnapshot
        {
            CwndBytes = 14480,
            SsthreshBytes = 28960,
            RttUs = 120,
            RttvarUs = 60,
            RtoMs = 200,
            Mss = 1448,
            SndWnd = 64256,
            RcvWnd = 65535,
            Retransmissions = 3,
        },
    };

    [Theory]
    [InlineData(false, false, "ESTAB")]
    [InlineData(true, false, "LISTEN")]
    [InlineData(false, true, "LISTEN ESTAB")]
    public void Sockets_Selected_AreThoseThatSsWouldShow(bool listening, bool all, string states)
    {
        SocketListingOptions options = new(listening, all, false, false);

        Assert.Equal(states, string.Join(' ', SocketListing.Select([s_listener, s_connection], options).Select(s => s.State)));
    }

    [Fact]
    public void Connection_ListedWithEverything_SaysOwnerAndHowItFares()
    {
        string[] lines = [.. SocketListing.Format([s_connection], new SocketListingOptions(false, false, true, true))];

        Assert.Equal(3, lines.Length);
        Assert.Contains("users:((\"redis-server\",pid=7))", lines[1], System.StringComparison.Ordinal);
        Assert.Equal(
            "\t rto:200 rtt:0.12/0.06 mss:1448 cwnd:10 ssthresh:20 snd_wnd:64256 rcv_wnd:65535 retrans:3", lines[2]);
    }

    [Fact]
    public void DirectoryOfPages_Read_TakesOnlyNamesThatAreProcessIds()
    {
        DirectoryInfo directory = Directory.CreateTempSubdirectory("pronghorn-test");
        try
        {
            foreach (string name in (string[])["12", "7", "x", "-3", "0", "12.tmp", "99999999999"])
            {
                File.WriteAllText(Path.Combine(directory.FullName, name), "");
            }

            Assert.Equal([7, 12], StatisticsDirectory.ProcessIds(directory.FullName));

            string own = Path.Combine(directory.FullName, $"{System.Environment.ProcessId}");
            File.WriteAllText(own, "");
            File.WriteAllText(Path.Combine(directory.FullName, "2147483647"), "");
            StatisticsDirectory.RemoveStale(directory.FullName);
            Assert.True(File.Exists(own));
            Assert.False(File.Exists(Path.Combine(directory.FullName, "2147483647")));
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    [Fact]
    public void PageOfProgramThatSleeps_Read_ShowsWhatItLastSaid()
    {
        DirectoryInfo directory = Directory.CreateTempSubdirectory("pronghorn-test");
        using FramePool frames = FramePool.Create(2048, 64);
        using NetworkStack stack = new(new StackOptions { MaximumConnections = 16 }, frames);
        try
        {
            Assert.Equal(0, StatisticsWriter.Create(directory.FullName, 4711, 1, out StatisticsWriter? writer));
            using (writer)
            {
                stack.Tcp.Listen(IpAddress.Parse("10.0.0.2"), 6379, 511, 0, SocketSettings.Default, out _);
                writer!.Set(writer.AddCounter("fallbacks", isDrop: false), 3);
                writer.Write(stack, new Instant(1));

                ProcessSnapshot? read = StatisticsDecoder.TryRead(directory.FullName, 4711, "redis-server");

                Assert.Equal(s_listener with { Pid = 4711 }, Assert.Single(read!.Sockets));
                Assert.Contains(new CounterSnapshot("fallbacks", 3, false), read.Counters);
                Assert.Contains(read.Counters, counter => counter.IsDrop && counter.Name == "tcp_checksum");
            }
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    [Fact]
    public void FileThatIsNoPage_Read_ShowsNothing()
    {
        DirectoryInfo directory = Directory.CreateTempSubdirectory("pronghorn-test");
        try
        {
            File.WriteAllText(Path.Combine(directory.FullName, "4711"), "not a page");

            Assert.Null(StatisticsDecoder.TryRead(directory.FullName, 4711, "x"));
            Assert.Null(StatisticsDecoder.TryRead(directory.FullName, 4712, "x"));
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    [Fact]
    public void NoDirectory_Read_IsEmpty() => Assert.Empty(StatisticsDirectory.ProcessIds("/nonexistent/pronghorn"));
}
