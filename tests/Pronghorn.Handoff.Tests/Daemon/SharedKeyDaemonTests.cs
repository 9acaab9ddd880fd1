// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Security.Cryptography;
using System.Threading.Tasks;
using Pronghorn.Handoff.Daemon;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>Daemons that know each other by a key.</summary>
public sealed class SharedKeyDaemonTests : IDisposable
{
    private readonly DaemonWorld _world = new();

    [Fact]
    public async Task SameKey_ConnectionsMove()
    {
        string key = WriteKey("key");
        foreach (int node in (int[])[0, 1])
        {
            UseKey(node, key);
            _world.StartDaemon(node);
            _world.StartWorker(node);
        }

        await _world.WaitUntilConnectedAsync(0, 1);
        using StreamReaderWriter client = _world.Connect(0);
        Assert.Equal("1.there from 1.0", await client.AskAsync("get 1.there"));
    }

    [Fact]
    public async Task AnotherKey_IsNoPeer()
    {
        UseKey(0, WriteKey("key"));
        UseKey(1, WriteKey("other"));
        _world.StartDaemon(0);
        _world.StartDaemon(1);
        HandoffStatus status;
        do
        {
            status = await _world.StatusOfAsync(0);
            Assert.All(status.Peers, static peer => Assert.False(peer.IsConnected));
        }
        while (status.PeersRejected == 0 || status.Peers.All(static peer => peer.Problem is null));

        // Each says why: whoever connects refuses the other's certificate before it shows its own.
        await _world.ReadLogAsync(
            0, "its certificate, for \"node-1\", is not signed by this node's authority (or its preshared_key is another)");
        await _world.ReadLogAsync(1, "a stream from ");
    }

    /// <inheritdoc/>
    public void Dispose() => _world.Dispose();

    private string WriteKey(string name)
    {
        string path = _world.FileOf(name);
        File.WriteAllText(path, Convert.ToHexString(RandomNumberGenerator.GetBytes(32)));
        File.SetUnixFileMode(path, UnixFileMode.UserRead);
        return path;
    }

    private void UseKey(int node, string path) => _world.Configure(node, text => string.Create(
        CultureInfo.InvariantCulture,
        $"""
        {string.Join('\n', text.Split('\n').Where(static line => !line.StartsWith("certificate", StringComparison.Ordinal)
            && !line.StartsWith("key", StringComparison.Ordinal) && !line.StartsWith("authority", StringComparison.Ordinal)))}
        preshared_key = {path}
        name = node-{node}
        """));
}
