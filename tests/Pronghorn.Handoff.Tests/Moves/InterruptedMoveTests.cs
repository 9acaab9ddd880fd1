// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Moves;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Steering;
using Pronghorn.Handoff.Tests.Image;
using Pronghorn.Handoff.Tests.Steering;
using Pronghorn.Lab;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;
using Xunit;

namespace Pronghorn.Handoff.Tests.Moves;

/// <summary>The daemon has ended within a move; what its worker has still is a socket that is silent.</summary>
public sealed class InterruptedMoveTests : IClassFixture<HandoffWorld>, IDisposable
{
    private const int LimitMilliseconds = 20_000;

    // One for each test: a program that another test starts has a copy of a listener until it is executed.
    private static int s_port = 7400;

    private readonly HandoffWorld.Node _node;
    private readonly TcpEnd _owner;
    private readonly string _folder = Directory.CreateTempSubdirectory("pronghorn-images-").FullName;
    private readonly Socket _listener;
    private readonly Socket _client;
    private readonly Socket _server;
    private readonly TcpEnd _remote;

    public InterruptedMoveTests(HandoffWorld world)
    {
        ArgumentNullException.ThrowIfNull(world);
        _node = world.Nodes[0];
        _owner = world.Nodes[1].End(false, 61_000);
        _listener = _node.Listen(false, Port);
        _client = NamespaceThread.Run(world.Client, () =>
        {
            var made = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            made.Connect(IPAddress.Parse(_node.Address(false)), Port);
            return made;
        });
        _server = _listener.Accept();
        _client.ReceiveTimeout = _server.ReceiveTimeout = LimitMilliseconds;
        Assert.Equal(0, TcpSocket.GetRemote((int)_server.Handle, out _remote));
    }

    private SteeredNode Steered => new(_node.Layer, _node.Hold, _node.InterfaceIndex, _node.Mac) { Images = ImageStore.Open(_folder) };

    private InterruptedMove Interrupted(Unsettled unsettled, TimeSpan limit) => new(Steered, null, unsettled, limit);

    private Task<Refusal> EndAsync(int fd) =>
        Interrupted(new Unsettled(), TimeSpan.FromMilliseconds(1)).EndAsync(fd);

    private ushort Port { get; } = (ushort)Interlocked.Increment(ref s_port);

    private SteeringTables Tables => _node.Layer.Tables;

    private TcpEnd Local => _node.End(false, Port);

    [Fact]
    public async Task NotDecided_AndTheHoldHasEnded_ItWorksHereAgain_WithWhatCameMeanwhile()
    {
        Take();
        _client.Send("while it was silent"u8);
        Assert.Equal(0, Tables.Forget(Local, _remote));

        Refusal stays = await EndAsync((int)_server.Handle);

        Assert.Equal((RefusalReason.Peer, "the daemon ended within the move"), (stays.Reason, stays.Step));
        _node.Hold.Replay();
        AssertReads(_server, "while it was silent");
        AssertTalks();
    }

    [Fact]
    public async Task NotDecided_AndItIsHeldStill_ThatMoveGoesOn_AndItIsToAskAgain()
    {
        Take();

        Assert.Equal(RefusalReason.Busy, (await EndAsync((int)_server.Handle)).Reason);

        Assert.True(Tables.FindGiven(Local, _remote, out GivenEntry held) && held.Mode == SteeringMode.Hold);
        Assert.Equal(0, Tables.Forget(Local, _remote));
        Assert.Equal(RefusalReason.Peer, (await EndAsync((int)_server.Handle)).Reason);
        AssertTalks();
    }

    [Fact]
    public async Task Given_AndItHasNeverLivedThere_ItWorksHereAgain()
    {
        Take();
        var stay = new Stay(1, 1);
        Assert.Equal(0, Tables.Redirect(Local, _remote, _owner, _node.InterfaceIndex, stay));
        var unsettled = new Unsettled();
        Task<Refusal> ending = Interrupted(unsettled, TimeSpan.FromSeconds(30)).EndAsync((int)_server.Handle);
        Assert.Equal([stay], unsettled.Leaving.Select(static item => item.Stay));
        unsettled.Settle(stay, isOwned: false);

        Assert.Equal(RefusalReason.Peer, (await ending).Reason);
        AssertTalks();
    }

    /// <summary>The daemon ended between letting go of the socket and telling its worker.</summary>
    [Fact]
    public async Task Given_AndTheSocketWasLetGoOfAlready_ItHasMoved()
    {
        Take();
        Assert.Equal(0, Tables.Redirect(Local, _remote, _owner, _node.InterfaceIndex, new Stay(1, 1)));
        Assert.Equal(0, ConnectionCapture.Discard((int)_server.Handle));

        Refusal stays = await EndAsync((int)_server.Handle);

        Assert.True(stays.IsNone, stays.ToString());
    }

    [Theory]
    [InlineData(SteeringMode.Redirect)]
    [InlineData(SteeringMode.Tombstone)]
    public async Task Given_TheSocketHasNoConnectionAnyMore_AndThePeerHearsNothing(SteeringMode mode)
    {
        Take();
        var stay = new Stay(1, 1);
        Assert.Equal(0, Tables.Redirect(Local, _remote, _owner, _node.InterfaceIndex, stay));
        if (mode == SteeringMode.Tombstone)
        {
            Assert.Equal(0, Tables.Bury(Local, _remote, stay));
        }

        ulong dropped = _node.Layer.Read(SteeringCounter.DropOwn);

        Refusal stays = await EndAsync((int)_server.Handle);

        Assert.True(stays.IsNone, stays.ToString());
        Assert.Equal(-1, ReceiveError(out SocketError error));
        Assert.Equal(SocketError.ConnectionAborted, error);

        // Not even one that the steering would have stopped.
        Assert.Equal(dropped, _node.Layer.Read(SteeringCounter.DropOwn));
        Assert.False(_client.Poll(0, SelectMode.SelectRead), "the peer has heard of it");
    }

    [Fact]
    public async Task DescriptorIsNoConnection_Refused()
    {
        using FileStream file = File.OpenRead("/dev/null");
        foreach (int fd in (int[])[(int)file.SafeFileHandle.DangerousGetHandle(), (int)_listener.Handle, -1])
        {
            Assert.Equal(RefusalReason.NotAConnection, (await EndAsync(fd)).Reason);
        }

        AssertTalks();
    }

    /// <summary>The daemon was killed when it had given such a connection to a worker, before, within or after writing them.</summary>
    [Theory]
    [InlineData(false, 0)]
    [InlineData(true, 0)]
    [InlineData(true, 4)]
    [InlineData(true, 11)]
    public void Came_WithBytesUnsent_TheNextDaemonWritesWhatIsLeft_Once(bool hasLeftRepair, int written)
    {
        const string Unsent = "never sent.";
        int fd = Remake(image => image with
        {
            SendQueue = Encoding.ASCII.GetBytes(Unsent), Unsent = Unsent.Length, WriteSequence = image.WriteSequence + (uint)Unsent.Length,
        });
        if (hasLeftRepair)
        {
            Assert.Equal(0, TcpRepair.Leave(fd));
            Assert.Equal(written, Libc.Send(fd, Encoding.ASCII.GetBytes(Unsent[..written]), 0));
        }

        // A second time: the daemon that did it was killed before its worker had the answer.
        for (int i = 0; i < 2; i++)
        {
            Refusal stays = Interrupted(new Unsettled(), default).Finish(fd, isSimple: false);
            Assert.True(stays.IsNone, stays.ToString());
        }

        Assert.Equal(3, Libc.Send(fd, "end"u8, 0));
        AssertReadsAll(Unsent + "end");
        Assert.Empty(Directory.GetFiles(_folder));
        _ = Libc.Close(fd);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Came_WithTheServersFinUnsent_ThePeerReadsTheEnd(bool isShut)
    {
        int fd = Remake(image => image with
        {
            State = KernelTcpState.FinWait1, SendQueue = "last"u8.ToArray(), Unsent = 4, WriteSequence = image.WriteSequence + 4,
        });
        if (isShut)
        {
            Assert.Equal(0, TcpRepair.Leave(fd));
            Assert.Equal(4, Libc.Send(fd, "last"u8, 0));
            Assert.Equal(0, Libc.Shutdown(fd, 1));
        }

        Refusal stays = Interrupted(new Unsettled(), default).Finish(fd, isSimple: false);

        Assert.True(stays.IsNone, stays.ToString());
        AssertReadsAll("last");
        Assert.Equal(0, _client.Receive(new byte[1]));
        _ = Libc.Close(fd);
    }

    [Fact]
    public void Came_WithThePeersFin_TheWorkerReadsTheEnd()
    {
        _client.Shutdown(SocketShutdown.Send);
        Assert.Equal(0, _server.Receive(new byte[1]));
        int fd = Remake(static image => image);

        Refusal stays = Interrupted(new Unsettled(), default).Finish(fd, isSimple: false);

        Assert.True(stays.IsNone, stays.ToString());
        using var moved = new Socket(new SafeSocketHandle(fd, ownsHandle: true)) { Blocking = true, ReceiveTimeout = LimitMilliseconds };
        Assert.Equal(0, moved.Receive(new byte[1]));
        moved.Send("answer"u8);
        AssertReadsAll("answer");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Came_WithBytesUnsent_AndTheirImageIsNotThere_ThePeerHearsOfIt(bool isAnothers)
    {
        int fd = Remake(image => image with { SendQueue = "lost"u8.ToArray(), Unsent = 4, WriteSequence = image.WriteSequence + 4 });
        foreach (string file in Directory.GetFiles(_folder))
        {
            File.Delete(file);
        }

        if (isAnothers)
        {
            Steered.Images!.TrySave(Local, _remote, TestImage.Of(Local, _remote));
        }

        Refusal stays = Interrupted(new Unsettled(), default).Finish(fd, isSimple: false);

        Assert.Equal(isAnothers ? RefusalReason.State : RefusalReason.Peer, stays.Reason);
        SocketException reset = Assert.Throws<SocketException>(() => _client.Receive(new byte[1]));
        Assert.Equal(SocketError.ConnectionReset, reset.SocketErrorCode);
        _ = Libc.Close(fd);
    }

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
        _client.Dispose();
        _server.Dispose();
        _listener.Dispose();
        Tables.Clear();
    }

    /// <summary>As far as the daemon has come.</summary>
    private void Take()
    {
        Assert.Equal(0, Tables.Hold(Local, _remote, new Stay(1, 1)));
        Assert.True(ConnectionCapture.TryTake((int)_server.Handle, out _).IsNone);
    }

    /// <summary>As the target's daemon does it, up to giving the connection to a worker; the ends are the same as before.</summary>
    private int Remake(Func<ConnectionImage, ConnectionImage> change)
    {
        Assert.True(ConnectionCapture.TryTake((int)_server.Handle, out ConnectionImage? taken).IsNone);
        Assert.Equal(0, ConnectionCapture.Discard((int)_server.Handle));
        ConnectionImage image = change(taken!);
        int fd = -1;
        Refusal refusal = NamespaceThread.Run(_node.Place, () => ConnectionRestore.TryMake(image, Local, out fd));
        Assert.True(refusal.IsNone, refusal.ToString());
        Assert.True(Steered.Images!.TrySave(Local, _remote, image));
        return fd;
    }

    private void AssertReadsAll(string text)
    {
        byte[] buffer = new byte[text.Length];
        for (int got = 0; got < buffer.Length;)
        {
            int count = _client.Receive(buffer.AsSpan(got));
            Assert.NotEqual(0, count);
            got += count;
        }

        Assert.Equal(text, Encoding.ASCII.GetString(buffer));
    }

    private int ReceiveError(out SocketError error)
    {
        int count = _server.Receive(new byte[1], SocketFlags.None, out error);
        return error == SocketError.Success ? count : -1;
    }

    private void AssertTalks()
    {
        _server.Send("from the server"u8);
        AssertReads(_client, "from the server");
        _client.Send("from the client"u8);
        AssertReads(_server, "from the client");
    }

    private static void AssertReads(Socket socket, string text)
    {
        byte[] buffer = new byte[100];
        int count = socket.Receive(buffer);
        Assert.Equal(text, Encoding.ASCII.GetString(buffer, 0, count));
    }
}
