// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using Pronghorn.Cli.Observation;
using Pronghorn.Lab;
using Pronghorn.Linux;
using Pronghorn.Runtime.Statistics;
using Xunit;

namespace Pronghorn.Cli.Tests;

/// <summary>Pages that other users may have made, in directories that several users share.</summary>
public sealed class StatisticsPageTests : IDisposable
{
    private const int Page = 4711;
    private const int AccessDenied = -13;
    private const int ProtocolError = -71;

    private readonly string _directory = Directory.CreateTempSubdirectory("pronghorn-test").FullName;

    private string File => Path.Combine(_directory, Page.ToString(System.Globalization.CultureInfo.InvariantCulture));

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Written_Read_IsTheSame()
    {
        using StatisticsWriter writer = Write(_directory);
        writer.Set(writer.AddCounter("one_of_ours", isDrop: true), 42);
        Assert.Equal(0, StatisticsReader.Open(File, out StatisticsReader? reader));
        using (reader)
        {
            Assert.True(reader!.CanRequest);
            Assert.True(reader.TryRead(out StatisticsHeader header, out StatisticsCounter[] counters, out _));
            Assert.Equal((Page, counters.Length), (header.ProcessId, header.CounterCount));
            StatisticsCounter last = counters[^1];
            Assert.Equal(("one_of_ours", 42, 1), (StatisticsReader.NameOf(last), last.Value, last.IsDrop));
        }
    }

    [Fact]
    public void Request_Writer_SeesIt()
    {
        using StatisticsWriter writer = Write(_directory);
        Assert.False(writer.IsWanted(new Stack.Instant(0)));
        Assert.Equal(0, StatisticsReader.Open(File, out StatisticsReader? reader));
        using (reader)
        {
            uint request = reader!.Request();
            Assert.True(writer.IsWanted(new Stack.Instant(0)));
            Assert.False(reader.IsAnswered(request));
        }
    }

    public static TheoryData<string, int> Traps => new()
    {
        { "link", -40 },
        { "pipe", -1 },
        { "directory", -21 },
        { "second name", -1 },
        { "writable by its group", -1 },
        { "writable by everybody", -1 },
        { "short", ProtocolError },
        { "long", ProtocolError },
        { "other content", ProtocolError },
        { "nothing", -2 },
    };

    [Theory]
    [MemberData(nameof(Traps))]
    public void Trap_Open_IsRefused(string name, int expected)
    {
        using StatisticsWriter writer = Write(_directory);
        string other = File + ".other";
        switch (name)
        {
            case "link":
                System.IO.File.Move(File, other);
                System.IO.File.CreateSymbolicLink(File, other);
                break;
            case "pipe":
                System.IO.File.Delete(File);
                LabCommand.Run("mkfifo", File);
                break;
            case "directory":
                System.IO.File.Delete(File);
                Directory.CreateDirectory(File);
                break;
            case "second name":
                LabCommand.Run("ln", File, other);
                break;
            case "writable by its group":
                LabCommand.Run("chmod", "g+w", File);
                break;
            case "writable by everybody":
                LabCommand.Run("chmod", "o+w", File);
                break;
            case "nothing":
                System.IO.File.Delete(File);
                break;
            default:
                using (FileStream stream = System.IO.File.OpenWrite(File))
                {
                    stream.SetLength(name == "short" ? 16 : name == "long" ? stream.Length + 1 : stream.Length);
                    stream.WriteByte(name == "other content" ? (byte)0 : (byte)'P');
                }

                break;
        }

        Assert.Equal(expected, StatisticsReader.Open(File, out StatisticsReader? reader));
        Assert.Null(reader);
    }

    [Fact]
    public void CutShortWhileItIsRead_Read_FailsAndNothingDies()
    {
        using StatisticsWriter writer = Write(_directory);
        Assert.Equal(0, StatisticsReader.Open(File, out StatisticsReader? reader));
        using (reader)
        {
            using FileStream stream = System.IO.File.OpenWrite(File);
            stream.SetLength(8);
            Assert.False(reader!.TryRead(out _, out StatisticsCounter[] counters, out StatisticsRow[] rows));
            Assert.Empty(counters);
            Assert.Empty(rows);
            stream.SetLength(1 << 20); // what the writer has mapped must be there when it ends
        }
    }

    [Theory]
    [InlineData(int.MaxValue, int.MaxValue)]
    [InlineData(-1, -1)]
    public void CountsThatLie_Read_StayWithinThePage(int counters, int rows)
    {
        using StatisticsWriter writer = Write(_directory);
        Poke(nameof(StatisticsHeader.CounterCount), counters);
        Poke(nameof(StatisticsHeader.RowCount), rows);
        Assert.Equal(0, StatisticsReader.Open(File, out StatisticsReader? reader));
        using (reader)
        {
            Assert.True(reader!.TryRead(out _, out StatisticsCounter[] foundCounters, out StatisticsRow[] foundRows));
            Assert.Equal(counters < 0 ? 0 : StatisticsPage.MaximumCounters, foundCounters.Length);
            Assert.Equal(rows < 0 ? 0 : StatisticsPage.MaximumRows, foundRows.Length);
        }
    }

    [Fact]
    public void WriterThatDiedWhileItWrote_Read_Fails()
    {
        using StatisticsWriter writer = Write(_directory);
        Poke(nameof(StatisticsHeader.Sequence), 1);
        Assert.Equal(0, StatisticsReader.Open(File, out StatisticsReader? reader));
        using (reader)
        {
            Assert.False(reader!.TryRead(out _, out _, out _));
        }
    }

    [Fact]
    public void NameWithEscapes_Shown_IsHarmless()
    {
        using StatisticsWriter writer = Write(_directory);
        writer.AddCounter("red\x1b[31m", isDrop: false);
        StatisticsReader.Open(File, out StatisticsReader? reader);
        using (reader)
        {
            reader!.TryRead(out _, out StatisticsCounter[] counters, out _);
            Assert.Equal("red??31m", StatisticsReader.NameOf(counters[^1]));
        }
    }

    [Fact]
    public void PageOfAnotherProcess_Read_IsNotShown()
    {
        using StatisticsWriter writer = Write(_directory);
        Poke(nameof(StatisticsHeader.ProcessId), Page + 1);
        Assert.Null(StatisticsDecoder.TryRead(_directory, Page, "x"));
    }

    [Fact]
    public void PageOfAUserWhoDoesNotRunTheProcess_Read_IsNotShown()
    {
        int pid = Environment.ProcessId;
        Assert.Equal(0, StatisticsWriter.Create(_directory, pid, 1, out StatisticsWriter? writer));
        using (writer)
        {
            Assert.NotNull(StatisticsDecoder.TryRead(_directory, pid, "x"));
            LabCommand.Run("chown", "4242", Path.Combine(_directory, $"{pid}"));
            Assert.Null(StatisticsDecoder.TryRead(_directory, pid, "x"));
        }
    }

    [Theory]
    [InlineData("Name:\tx\nUid:\t1000\t0\t5\t7\nGid:\t9\t9\t9\t9\n", "1000 0 5 7")]
    [InlineData("Name:\tUid:\n", "")]
    public void Status_OfAProcess_TellsItsUsers(string status, string expected) =>
        Assert.Equal(expected, string.Join(' ', ProcessOwner.Users(status)));

    [Fact]
    public void StalePage_Create_ReplacesIt()
    {
        System.IO.File.WriteAllText(File, "what a dead process left");
        using StatisticsWriter writer = Write(_directory);
        Assert.Equal(0, StatisticsReader.Open(File, out StatisticsReader? reader));
        reader!.Dispose();
    }

    [Fact]
    public void PageBeingMade_HasNoNameUntilItIsPublished()
    {
        Assert.Equal(0, SharedPage.Create(File, 4096, 0x1c0, out SharedPage? page));
        using (page)
        {
            Assert.False(System.IO.File.Exists(File));
            Assert.Equal(0, page!.Publish());
            Assert.True(System.IO.File.Exists(File));
        }

        Assert.Empty(Directory.GetFiles(_directory));
    }

    [Fact]
    public void LinkInTheWay_Create_DoesNotFollowIt()
    {
        string victim = Path.Combine(_directory, "victim");
        System.IO.File.WriteAllText(victim, "precious");
        System.IO.File.CreateSymbolicLink(File, victim);
        using StatisticsWriter writer = Write(_directory);
        Assert.Equal("precious", System.IO.File.ReadAllText(victim));
    }

    [Theory]
    [InlineData("4242", "1777", AccessDenied)] // its owner could replace what root writes
    [InlineData("4242", "0755", AccessDenied)]
    public void DirectoryOfAnotherUser_Create_IsRefused(string owner, string mode, int expected)
    {
        string place = Path.Combine(_directory, "place");
        Directory.CreateDirectory(place);
        LabCommand.Run("chmod", mode, place);
        LabCommand.Run("chown", owner, place);
        Assert.Equal(expected, StatisticsWriter.Create(place, Page, 1, out StatisticsWriter? writer));
        Assert.Null(writer);
        Assert.Empty(Directory.GetFiles(place));
    }

    [Fact]
    public void OwnDirectory_Create_IsMadeForOneUserAlone()
    {
        string place = Path.Combine(_directory, "own");
        using StatisticsWriter writer = Write(place);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, System.IO.File.GetUnixFileMode(place));
    }

    [Theory]
    [InlineData("/run/x", 5, "/run/x/pronghorn")]
    [InlineData("relative", 5, null)]
    [InlineData(null, 5, null)]
    [InlineData("", 7, "7/pronghorn")]
    public void OwnDirectory_OfAUser_IsInItsRuntimeDirectory(string? runtime, uint user, string? expected)
    {
        Directory.CreateDirectory(Path.Combine(_directory, "7"));
        string? place = StatisticsPlaces.OwnDirectory(runtime, user, _directory);
        Assert.Equal(expected is null ? null : Path.Combine(_directory, expected), place);
    }

    [Fact]
    public void Places_Read_BeginWithThatOfAll()
    {
        Assert.Equal(StatisticsPage.Directory, StatisticsPlaces.ForReading()[0]);
        Assert.Equal(StatisticsPlaces.ForReading().Distinct(), StatisticsPlaces.ForReading());
    }

    private static StatisticsWriter Write(string directory)
    {
        Assert.Equal(0, StatisticsWriter.Create(directory, Page, 1, out StatisticsWriter? writer));
        return writer!;
    }

    private void Poke(string field, int value)
    {
        using FileStream stream = System.IO.File.OpenWrite(File);
        stream.Position = Marshal.OffsetOf<StatisticsHeader>(field);
        stream.Write(MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in value)));
    }
}
