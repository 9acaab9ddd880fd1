// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Configuration;
using Pronghorn.Handoff.Daemon;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>Asking for a daemon's status where there is none, or one that does not answer.</summary>
public sealed class HandoffStatusTests : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(15);

    private readonly string _folder = Directory.CreateTempSubdirectory("status-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task DaemonThatHangs_IsSaidToBeThere_AndNotToHaveAnswered()
    {
        using Socket hangs = Listen();

        Task<HandoffStatus> asking = HandoffStatus.AskAsync(_folder, TimeSpan.FromMilliseconds(50), CancellationToken.None);

        IOException failure = await Assert.ThrowsAsync<IOException>(() => asking).WaitAsync(s_patience);
        Assert.Contains("the daemon is there and has not answered for 0.1 s", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Interrupted_Asking_IsNotTheDaemonsFault()
    {
        using Socket hangs = Listen();
        using var interruption = new CancellationTokenSource();

        Task<HandoffStatus> asking = HandoffStatus.AskAsync(_folder, s_patience, interruption.Token);
        await interruption.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking).WaitAsync(s_patience);
    }

    [Theory]
    [InlineData(false, "there is no such socket")]
    [InlineData(true, "the one that made it has ended")]
    public async Task NoDaemon_IsSaid_WithItsReason(bool wasThere, string reason)
    {
        // To a client one that does not listen is as one whose daemon has ended.
        using Socket? former = wasThere ? Bind() : null;

        IOException failure = await Assert.ThrowsAsync<IOException>(
            () => HandoffStatus.AskAsync(_folder, s_patience, CancellationToken.None));

        Assert.Contains(reason, failure.Message, StringComparison.Ordinal);
        Assert.Contains("pronghorn handoff serve", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void FolderAsConfiguration_IsSaidToBeOne()
    {
        HandoffConfigurationException failure = Assert.Throws<HandoffConfigurationException>(() => HandoffConfiguration.Read(_folder));

        Assert.Contains("this is a folder", failure.Message, StringComparison.Ordinal);
    }

    private Socket Bind()
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(StatusServer.PathOf(_folder)));
        return socket;
    }

    private Socket Listen()
    {
        Socket socket = Bind();
        socket.Listen();
        return socket;
    }
}
