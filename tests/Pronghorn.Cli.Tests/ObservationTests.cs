// SPDX-License-Identifier: Apache-2.0
using System.IO;
using System.IO.MemoryMappedFiles;
using System.Linq;
using System.Text.Json;
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
        SocketFilter everything = SocketFilter.Parse([]);

        Assert.Equal(
            states, string.Join(' ', SocketListing.Select([s_listener, s_connection], options, everything).Select(s => s.State)));
    }

    [Theory]
    [InlineData("", "ESTAB")]
    [InlineData("state established", "ESTAB")]
    [InlineData("state listening", "LISTEN")]
    [InlineData("state all", "LISTEN ESTAB")]
    [InlineData("state connected", "ESTAB")]
    [InlineData("state bucket", "")]
    [InlineData("state listening state established", "LISTEN ESTAB")]
    [InlineData("state all exclude listening", "ESTAB")]
    [InlineData("exclude established", "LISTEN")]
    [InlineData("sport = :6379", "ESTAB")]
    [InlineData("sport=:6379", "ESTAB")]
    [InlineData("sport 6379", "ESTAB")]
    [InlineData("sport != :6379", "")]
    [InlineData("state all sport = :6379", "LISTEN ESTAB")]
    [InlineData("state all dport = :40000", "ESTAB")]
    [InlineData("state all dport > :1023", "ESTAB")]
    [InlineData("state all dport lt 1024", "LISTEN")]
    [InlineData("state all not dport = :40000", "LISTEN")]
    [InlineData("state all ( dport = :40000 or dport = :0 ) and sport = :6379", "LISTEN ESTAB")]
    [InlineData("state all (dport=:40000 or dport=:0) and sport=:80", "")]
    [InlineData("dst 10.0.0.1", "ESTAB")]
    [InlineData("dst 10.0.0.1:40000", "ESTAB")]
    [InlineData("dst 10.0.0.1:40001", "")]
    [InlineData("dst 10.0.0.0/24 src = 10.0.0.2", "ESTAB")]
    [InlineData("dst 10.0.1.0/24", "")]
    [InlineData("dst != 10.0.1.0/24", "ESTAB")]
    public void Filter_Applied_SelectsWhatSsWould(string filter, string states)
    {
        SocketListingOptions options = new(false, false, false, false);

        foreach (SocketFilter read in (SocketFilter[])[SocketFilter.Parse([filter]), SocketFilter.Parse(filter.Split(' '))])
        {
            Assert.Equal(
                states, string.Join(' ', SocketListing.Select([s_listener, s_connection], options, read).Select(s => s.State)));
        }
    }

    [Theory]
    [InlineData("--bogus")]
    [InlineData("state established --bogus")]
    public void OptionThatThereIsNot_Parsed_IsNamedAsSuch(string words)
    {
        CommandException failure = Assert.Throws<CommandException>(() => SocketFilter.Parse(words.Split(' ')));

        Assert.Contains("there is no option '--bogus'", failure.Message, System.StringComparison.Ordinal);
        Assert.Equal(ExitStatus.Usage, failure.Status);
    }

    [Theory]
    [InlineData("7 (a) b) S 1 7", 'S')]
    [InlineData("7 (x) T 1", 'T')]
    [InlineData("7 (x)", null)]
    [InlineData("7 (x) ", null)]
    [InlineData("", null)]
    public void StatusOfAProcess_Parsed_HasItsState(string line, char? state) => Assert.Equal(state, ProcessState.Parse(line));

    [Fact]
    public void ProgramThatDoesNotAnswer_Explained_SaysWhy()
    {
        Assert.Equal("is idle", ProcessState.Explain('S'));
        Assert.StartsWith("is stopped", ProcessState.Explain('T'), System.StringComparison.Ordinal);
        Assert.StartsWith("computes", ProcessState.Explain('R'), System.StringComparison.Ordinal);
        Assert.Equal('R', ProcessState.Read(System.Environment.ProcessId));
        Assert.Null(ProcessState.Read(int.MaxValue));
    }

    [Fact]
    public void ConnectionBeforeItsFirstLoss_Listed_HasNoThreshold()
    {
        SocketSnapshot fresh = s_connection with { Transmission = s_connection.Transmission! with { SsthreshBytes = null } };

        string[] lines = [.. SocketListing.Format([fresh], new SocketListingOptions(false, false, true, false))];

        Assert.Contains(" ssthresh:- ", lines[2], System.StringComparison.Ordinal);
        Assert.Contains(
            "\"ssthresh_bytes\": null",
            JsonSerializer.Serialize([fresh], JsonFormat.Default.SocketSnapshotArray),
            System.StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(int.MaxValue, null)]
    [InlineData(28960, 28960L)]
    public void RowOfAPage_Decoded_HasAThresholdAfterTheFirstLossOnly(int inPage, long? shown)
    {
        StatisticsRow row = new() { State = (byte)TcpState.Established, SsThresh = inPage };

        Assert.Equal(shown, StatisticsDecoder.ToSocket(row, 1, "x").Transmission!.SsthreshBytes);
    }

    [Theory]
    [InlineData(0, "0 sockets")]
    [InlineData(1, "1 socket")]
    [InlineData(2, "2 sockets")]
    public void Number_Counted_HasItsNounInTheRightForm(int number, string text) =>
        Assert.Equal(text, SocketListing.Count(number, "socket"));

    [Fact]
    public void OwnProcess_LookedFor_IsInThisNamespace() =>
        Assert.False(NetworkNamespaces.IsElsewhere(System.Environment.ProcessId));

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
    public void LinkInPlaceOfDirectory_RemoveStale_RemovesNothing()
    {
        DirectoryInfo directory = Directory.CreateTempSubdirectory("pronghorn-test");
        try
        {
            // No process has this id: in a directory of pages it would go.
            string precious = Path.Combine(directory.CreateSubdirectory("elsewhere").FullName, "2147483647");
            string link = Path.Combine(directory.FullName, "pronghorn");
            File.WriteAllText(precious, "");
            Directory.CreateSymbolicLink(link, Path.GetDirectoryName(precious)!);

            StatisticsDirectory.RemoveStale(link);

            Assert.True(File.Exists(precious));
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    [Fact]
    public void LibraryWithoutPage_Find_NamesTheProcess()
    {
        DirectoryInfo directory = Directory.CreateTempSubdirectory("pronghorn-test");
        try
        {
            string library = Path.Combine(directory.FullName, "libpronghorn-core.so");
            File.WriteAllText(library, "text");
            int own = System.Environment.ProcessId;
            Assert.DoesNotContain(own, KernelPathPrograms.Find([]));

            using MemoryMappedFile file = MemoryMappedFile.CreateFromFile(library);
            using MemoryMappedViewAccessor mapped = file.CreateViewAccessor();

            Assert.Contains(own, KernelPathPrograms.Find([]));
            Assert.DoesNotContain(own, KernelPathPrograms.Find([own]));
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    [Fact]
    public void Places_ForCleaning_AreThisUsersOnly() => Assert.Equal(
        System.Environment.IsPrivilegedProcess ? [StatisticsPage.Directory] : StatisticsPlaces.ForWriting(),
        StatisticsPlaces.ForCleaning());

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
