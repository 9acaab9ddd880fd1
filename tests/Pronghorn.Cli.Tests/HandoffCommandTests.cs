// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Net.Sockets;
using System.Text;
using System.Threading.Tasks;
using Pronghorn.Cli.Commands;
using Pronghorn.Handoff.Daemon;
using Xunit;

namespace Pronghorn.Cli.Tests;

/// <summary>What a daemon says whose port is taken.</summary>
public sealed class HandoffCommandTests : IDisposable
{
    private static readonly TimeSpan s_short = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(15);
    private static readonly IOException s_failure = new("10.0.0.2:1950: Address already in use");

    private readonly string _folder = Directory.CreateTempSubdirectory("taken-").FullName;

    [Fact]
    public async Task PortIsTaken_ByADaemon_ItsProcessIsNamed()
    {
        using Socket listener = Listen();
        Task<string> describing = HandoffCommand.DescribeTakenPortAsync(s_failure, _folder, s_patience);
        using (Socket asker = await listener.AcceptAsync().WaitAsync(s_patience))
        {
            await asker.SendAsync(Encoding.UTF8.GetBytes(Status(4711).ToJson()));
        }

        Assert.Equal(
            "another daemon of this node runs already, process 4711 (10.0.0.2:1950: Address already in use)",
            await describing.WaitAsync(s_patience));
    }

    [Fact]
    public async Task PortIsTaken_ByADaemonThatHangs_ThatIsSaid()
    {
        using Socket listener = Listen();
        string said = await HandoffCommand.DescribeTakenPortAsync(s_failure, _folder, s_short).WaitAsync(s_patience);
        Assert.StartsWith("another daemon of this node runs already, and hangs (10.0.0.2:1950: ", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task PortIsTaken_AndNoDaemonAnswers_NothingElseIsSaid() => Assert.Equal(
        s_failure.Message, await HandoffCommand.DescribeTakenPortAsync(s_failure, _folder, s_patience).WaitAsync(s_patience));

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static HandoffStatus Status(int process) => new()
    {
        ProcessId = process,
        Interface = "eth0",
        Listeners = 0,
        MovesUnderWay = 0,
        Given = 0,
        GivenUnconfirmed = 0,
        TakenNow = 0,
        Undelivered = 0,
        Refused = new Dictionary<string, long>(),
        LastRefusals = new Dictionary<string, string>(),
        FreezeMicroseconds = new Dictionary<string, long>(),
        HeldBytes = 0,
        HeldDropped = 0,
        InboundEntries = 0,
        OutboundEntries = 0,
        InboundLimit = 0,
        OutboundLimit = 0,
        Packets = new Dictionary<string, ulong>(),
        Bytes = new Dictionary<string, ulong>(),
        Peers = [],
        PeersRejected = 0,
    };

    private Socket Listen()
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(Path.Combine(_folder, "status.sock")));
        socket.Listen();
        return socket;
    }
}
