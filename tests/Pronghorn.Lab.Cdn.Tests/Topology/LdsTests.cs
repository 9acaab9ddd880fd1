// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Lab.Cdn.Servers;
using Pronghorn.Lab.Cdn.Topology;
using Xunit;

namespace Pronghorn.Lab.Cdn.Tests.Topology;

/// <summary>The dispatch server follows its file.</summary>
public sealed class LdsTests : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(15);

    private readonly string _folder = Directory.CreateTempSubdirectory("lds-").FullName;
    private readonly BlockingCollection<string> _said = [];

    private string FilePath => Path.Combine(_folder, "pop_struct.conf");

    [Fact]
    public void File_IsFollowed_AndAWrongOneChangesNothing()
    {
        File.WriteAllText(FilePath, "node = a 10.0.0.1\n");
        using var server = new LdsServer(FilePath, new IPEndPoint(IPAddress.Loopback, 0), _said.Add);
        Assert.Equal("a", server.Find("x").Name);

        Replace("node = b 10.0.0.2\n");
        Assert.Contains("1 nodes", Said(), StringComparison.Ordinal);
        Assert.Equal("b", server.Find("x").Name);

        Replace("node = c 10.0.0.3\nnode = c\n");
        string said = Said();
        Assert.Contains("pop_struct.conf:2: ", said, StringComparison.Ordinal);
        Assert.Contains("stay as they were", said, StringComparison.Ordinal);
        Assert.Equal("b", server.Find("x").Name);
    }

    [Fact]
    public async Task LineWithoutAnEnd_IsNotReadForEver_AndOthersAreAnswered()
    {
        File.WriteAllText(FilePath, "node = a 10.0.0.1\n");
        using var server = new LdsServer(FilePath, new IPEndPoint(IPAddress.Loopback, 0), _said.Add);
        using var stopped = new CancellationTokenSource();
        Task running = server.RunAsync(stopped.Token);
        using Socket endless = Connect(server.End);
        using Socket good = Connect(server.End);
        Exception? ended = Record.Exception(() =>
        {
            // More than any buffers on the way hold: it stops reading, and says so.
            byte[] part = new byte[64 * 1024];
            for (int i = 0; i < 1000; i++)
            {
                endless.Send(part);
            }
        });
        Assert.IsType<SocketException>(ended);
        good.Send("x\r\ny\n"u8);
        using var reader = new StreamReader(new NetworkStream(good));
        Assert.Equal("a 10.0.0.1 0", await reader.ReadLineAsync().WaitAsync(s_patience));
        Assert.Equal("a 10.0.0.1 0", await reader.ReadLineAsync().WaitAsync(s_patience));
        await stopped.CancelAsync();
        await running.WaitAsync(s_patience);
    }

    [Fact]
    public async Task WhoFollows_IsToldOfAChange_BeforeTheFirstAnswerThatIsAnother()
    {
        File.WriteAllText(FilePath, "node = a 10.0.0.1\n");
        using var server = new LdsServer(FilePath, new IPEndPoint(IPAddress.Loopback, 0), _said.Add);
        using var stopped = new CancellationTokenSource();
        Task running = server.RunAsync(stopped.Token);
        using Socket follower = Connect(server.End);
        using var reader = new StreamReader(new NetworkStream(follower));
        follower.Send("follow changes\nx\n"u8);
        Assert.Equal("a 10.0.0.1 0", await reader.ReadLineAsync().WaitAsync(s_patience));

        Replace("node = b 10.0.0.2\n");
        Assert.Equal("changed", await reader.ReadLineAsync().WaitAsync(s_patience));
        follower.Send("x\n"u8);
        Assert.Equal("b 10.0.0.2 0", await reader.ReadLineAsync().WaitAsync(s_patience));

        // Of one that is wrong nobody is told: the answers are the same.
        _ = Said();
        Replace("node = c\n");
        Assert.Contains("stay as they were", Said(), StringComparison.Ordinal);
        follower.Send("x\n"u8);
        Assert.Equal("b 10.0.0.2 0", await reader.ReadLineAsync().WaitAsync(s_patience));
        await stopped.CancelAsync();
        await running.WaitAsync(s_patience);
    }

    [Fact]
    public void FirstFile_MustBeThere_AndIsNamedOnce() => Assert.Equal(
        FilePath + ": No such file or directory",
        Assert.Throws<PopStructureException>(() => new LdsServer(FilePath, new IPEndPoint(IPAddress.Loopback, 0), _said.Add)).Message);

    [Fact]
    public void FolderOfTheFile_MustBeThere_AndTheReasonIsInWords() => Assert.Equal(
        FilePath + " cannot be watched: No such file or directory",
        Assert.Throws<IOException>(
            () => new LdsServer(FilePath + "/pop_struct.conf", new IPEndPoint(IPAddress.Loopback, 0), _said.Add)).Message);

    /// <inheritdoc/>
    public void Dispose()
    {
        _said.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static Socket Connect(EndPoint end)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { SendTimeout = 15_000 };
        socket.Connect(end);
        return socket;
    }

    private void Replace(string text)
    {
        File.WriteAllText(FilePath + ".new", text);
        File.Move(FilePath + ".new", FilePath, overwrite: true);
    }

    private string Said()
    {
        Assert.True(_said.TryTake(out string? said, s_patience));
        return said;
    }
}
