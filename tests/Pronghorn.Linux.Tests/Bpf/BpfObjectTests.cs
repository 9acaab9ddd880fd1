// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using Pronghorn.Lab;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Xunit;

namespace Pronghorn.Linux.Tests.Bpf;

/// <summary>Loads objects into the running kernel.</summary>
public sealed class BpfObjectTests : IDisposable
{
    private const string Resource = "steer.bpf.o";

    private readonly LabBpfFileSystem _files = new();

    public void Dispose() => _files.Dispose();

    [Fact]
    public void Object_SetUpAndLoaded_GivesMapsAndPrograms()
    {
        using BpfObject loaded = Open();
        Assert.Contains("owned_ports", loaded.MapNames);
        Assert.Equal(["pronghorn_steer"], loaded.ProgramNames);
        loaded.SetMaximumEntries("owned_ports", 77);
        loaded.Load();
        using BpfMap map = loaded.GetMap("owned_ports");
        Assert.Equal(77u, map.MaximumEntries);
        using BpfProgram program = loaded.GetProgram("pronghorn_steer");
        Assert.Equal(BpfProgramType.Xdp, program.Type);
        using BpfProgram same = BpfProgram.OpenById(program.Id);
        Assert.Equal((program.Tag, "pronghorn_steer"), (same.Tag, same.Name));
    }

    [Fact]
    public void MapsAndPrograms_TakenOut_OutliveTheObject()
    {
        BpfObject loaded = Open();
        loaded.Load();
        using BpfMap map = loaded.GetMap("counters");
        using BpfProgram program = loaded.GetProgram("pronghorn_steer");
        loaded.Dispose();

        Assert.Equal(0, program.TestRun(new BpfTestRun { Packet = new byte[14], Repeat = 3 }, out BpfTestResult result));
        Assert.Equal(2u, result.Verdict);
        ulong[] counts = new ulong[BpfMap.PossibleProcessors];
        Assert.Equal(0, map.LookupPerProcessor<uint, ulong>((uint)SteeringCounter.Passed, counts));
        Assert.Equal(3UL, Sum(counts));
    }

    [Fact]
    public void TestRun_PacketAndContext_ComeBack()
    {
        using BpfObject loaded = Open();
        loaded.Load();
        using BpfProgram program = loaded.GetProgram("pronghorn_steer");
        byte[] packet = new byte[60];
        packet[13] = 9;
        byte[] back = new byte[64];
        Assert.Equal(0, program.TestRun(new BpfTestRun { Packet = packet, PacketOut = back }, out BpfTestResult result));
        Assert.Equal(60, result.PacketLength);
        Assert.Equal(packet, back[..60]);
        Assert.Equal(
            -Errno.NoSpace, program.TestRun(new BpfTestRun { Packet = packet, PacketOut = back.AsSpan(0, 20) }, out _));
    }

    [Fact]
    public void NoObjectFile_Open_SaysSo()
    {
        BpfException failure = Assert.Throws<BpfException>(() => BpfObject.Open(new byte[100], "rubbish").Dispose());
        Assert.Equal(BpfStep.OpenObject, failure.Step);
        Assert.Contains("rubbish", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void UnknownNames_SetUp_AreNamed()
    {
        using BpfObject opened = Open();
        Assert.Contains(
            "no map absent", Assert.Throws<BpfException>(() => opened.SetMaximumEntries("absent", 1)).Message, StringComparison.Ordinal);
        Assert.Contains(
            "no program absent", Assert.Throws<BpfException>(() => opened.SetAutoload("absent", false)).Message, StringComparison.Ordinal);
        Assert.Throws<BpfException>(() => opened.SetInnerValueSize("counters", 8));
    }

    [Fact]
    public void MapOfAnotherShape_Load_SaysWhatTheVerifierSaid()
    {
        // A counter has 8 bytes in the program.
        using BpfMap other = BpfMap.Create("other", BpfMapType.Array, 4, 4, 8);
        using BpfObject opened = Open();
        opened.ReuseMap("counters", other);
        BpfException failure = Assert.Throws<BpfException>(opened.Load);
        Assert.Equal(BpfStep.Load, failure.Step);
        Assert.Contains("steer_bpf", failure.Message, StringComparison.Ordinal);
        Assert.Contains("pronghorn_steer", failure.Details, StringComparison.Ordinal);
        Assert.Contains("invalid access to map value, value_size=4", failure.Details, StringComparison.Ordinal);
        Assert.DoesNotContain("processed", failure.Details, StringComparison.Ordinal);
    }

    [Fact]
    public void Pin_OpenedAgain_IsTheSameMap()
    {
        using BpfMap map = BpfMap.Create("pinned", BpfMapType.Hash, 4, 4, 10);
        string path = _files["pinned"];
        Assert.Null(BpfMap.TryOpenPinned(path));
        map.Pin(path);
        using BpfMap same = BpfMap.OpenPinned(path);
        Assert.Equal(map.Id, same.Id);
        Assert.Equal(Errno.Exists, Assert.Throws<BpfException>(() => map.Pin(path)).ErrorNumber);
        BpfFileSystem.Unpin(path);
        Assert.Equal(Errno.NoEntry, Assert.Throws<BpfException>(() => BpfMap.OpenPinned(path)).ErrorNumber);
    }

    [Fact]
    public void FolderOfPins_Removed_IsGone()
    {
        using BpfMap map = BpfMap.Create("pinned", BpfMapType.Hash, 4, 4, 10);
        string folder = _files["instance"];
        BpfFileSystem.CreateFolder(Path.Combine(folder, "links"));
        map.Pin(Path.Combine(folder, "links", "one"));
        BpfFileSystem.RemoveFolder(folder);
        BpfFileSystem.RemoveFolder(folder);
        Assert.False(Directory.Exists(folder));
    }

    [Fact]
    public void FolderElsewhere_Created_IsRefused()
    {
        string elsewhere = Directory.CreateTempSubdirectory("pronghorn-none-").FullName;
        Assert.Throws<BpfException>(() => BpfFileSystem.CreateFolder(elsewhere));
        Directory.Delete(elsewhere);
    }

    private static BpfObject Open() => BpfObject.OpenResource(typeof(SteeringProgram).Assembly, Resource);

    private static ulong Sum(ulong[] values)
    {
        ulong sum = 0;
        foreach (ulong value in values)
        {
            sum += value;
        }

        return sum;
    }
}
