// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Pronghorn.Lab;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Pronghorn.LoadBalancer.DataPlane;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>Starting, replacing and stopping the socket layer.</summary>
[Collection(TestCgroup.Collection)]
public sealed class SocketLayerLifeTests : IDisposable
{
    private readonly LabBpfFileSystem _files = new();
    private readonly TestCgroup _cgroup = new();
    private readonly PinLayout _pins;
    private readonly SocketLayer _layer;

    public SocketLayerLifeTests()
    {
        _pins = new PinLayout("life", _files.Root);
        _layer = new SocketLayer(_pins);
    }

    public void Dispose()
    {
        _layer.Stop();
        _pins.Remove();
        _cgroup.Dispose();
        _files.Dispose();
    }

    [Fact]
    public void StartedAgain_ProgramsAreReplaced_LinksAndMapsStay()
    {
        _layer.Start(_cgroup.Path, SocketLayerFixture.SmallMaps);
        IReadOnlyDictionary<string, BpfLinkState> before = _layer.GetAttachments();
        uint services = MapId("services");
        Assert.Equal(11, before.Count);

        _layer.Start(_cgroup.Path, SocketLayerFixture.SmallMaps);
        IReadOnlyDictionary<string, BpfLinkState> after = _layer.GetAttachments();
        Assert.Equal(services, MapId("services"));
        Assert.Equal(before.Select(item => (item.Key, item.Value.Id)), after.Select(item => (item.Key, item.Value.Id)));
        Assert.All(after, item => Assert.NotEqual(before[item.Key].ProgramId, item.Value.ProgramId));
    }

    [Fact]
    public void StartedOnAnotherCgroup_MovesThere()
    {
        string other = Path.Combine(_cgroup.Path, "other");
        Directory.CreateDirectory(other);
        _layer.Start(_cgroup.Path, SocketLayerFixture.SmallMaps);
        ulong before = _layer.GetAttachments()["connect4"].CgroupId;
        _layer.Start(other, SocketLayerFixture.SmallMaps);
        Assert.All(_layer.GetAttachments().Values, state => Assert.NotEqual(before, state.CgroupId));
        _layer.Stop();
        Directory.Delete(other);
    }

    [Fact]
    public void CgroupThatWasRemoved_Start_AttachesToTheNewOne()
    {
        string gone = Path.Combine(_cgroup.Path, "gone");
        Directory.CreateDirectory(gone);
        _layer.Start(gone, SocketLayerFixture.SmallMaps);
        Directory.Delete(gone);
        _layer.Start(_cgroup.Path, SocketLayerFixture.SmallMaps);
        ulong now = (ulong)Libc.GetInode(_cgroup.Path);
        Assert.All(_layer.GetAttachments().Values, state => Assert.Equal(now, state.CgroupId));
        Assert.Equal(11, _layer.GetAttachments().Count);
    }

    [Fact]
    public void Counters_ReadByName_AreThoseOfThePrograms()
    {
        _layer.Start(_cgroup.Path, SocketLayerFixture.SmallMaps);
        Assert.Throws<System.Net.Sockets.SocketException>(() => new System.Net.Sockets.TcpClient("127.0.0.1", 1).Dispose());
        IReadOnlyDictionary<SocketCounter, ulong> sockets = ProgramCounters.Read<SocketCounter>(_pins.Map("socket_counts"));
        Assert.Equal(10, sockets.Count);
        Assert.True(sockets[SocketCounter.NotReady] >= 1);
        Assert.Equal(5, ProgramCounters.Read<LookupCounter>(_pins.Map("lookup_counts")).Count);
        using BpfMap map = BpfMap.OpenPinned(_pins.Map("socket_counts"));
        Assert.Equal((uint)sockets.Count, map.MaximumEntries);
    }

    [Fact]
    public void Stopped_LeavesNothing()
    {
        _layer.Start(_cgroup.Path, SocketLayerFixture.SmallMaps);
        _layer.Stop();
        _layer.Stop();
        Assert.Empty(_layer.GetAttachments());
        Assert.Empty(Directory.GetFiles(_pins.Links));
        _pins.Remove();
        Assert.Empty(Directory.GetDirectories(_files.Root));
    }

    [Fact]
    public void OtherSizesThanThePinnedMaps_Start_NamesTheMap()
    {
        _layer.Start(_cgroup.Path, SocketLayerFixture.SmallMaps);
        BpfException failure = Assert.Throws<BpfException>(
            () => _layer.Start(_cgroup.Path, SocketLayerFixture.SmallMaps with { Slots = 2000 }));
        Assert.Contains(_pins.Map("slots"), failure.Message, StringComparison.Ordinal);
        Assert.Equal(11, _layer.GetAttachments().Count);
    }

    [Fact]
    public void NoCgroup_Start_SaysSoAndLeavesNothingAttached()
    {
        BpfException absent = Assert.Throws<BpfException>(() => _layer.Start("/absent", SocketLayerFixture.SmallMaps));
        Assert.Contains("/absent", absent.Message, StringComparison.Ordinal);
        BpfException ordinary = Assert.Throws<BpfException>(() => _layer.Start(_files.Root, SocketLayerFixture.SmallMaps));
        Assert.Contains(_files.Root, ordinary.Message, StringComparison.Ordinal);
        Assert.Empty(_layer.GetAttachments());
    }

    [Fact]
    public void SizesOutOfRange_Start_NamesTheSetting()
    {
        Assert.Contains("maps.services is 0", Assert.Single((new MapSizes { Services = 0 }).Validate()), StringComparison.Ordinal);
        Assert.Contains("maps.maglevSize is 252", Assert.Single((new MapSizes { MaglevSize = 252 }).Validate()), StringComparison.Ordinal);
        Assert.Empty(new MapSizes().Validate());
        Assert.Throws<ArgumentException>(() => _layer.Start(_cgroup.Path, new MapSizes { Slots = MapSizes.Largest + 1 }));
    }

    [Fact]
    public void InstanceName_WithASlash_IsRefused() => Assert.Throws<ArgumentException>(() => new PinLayout("../other"));

    private uint MapId(string name)
    {
        using BpfMap map = BpfMap.OpenPinned(_pins.Map(name));
        return map.Id;
    }
}
