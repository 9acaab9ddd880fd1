// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Net.Sockets;
using Pronghorn.Lab.Cdn.Load;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Lab.Cdn.Tests.Load;

public sealed class LoadGeneratorTests
{
    [Fact]
    public void NothingComes_ConnectionsCountAsFailures_AndTheirWaitingAsStalls()
    {
        using var silent = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        silent.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        silent.Listen();
        var options = new LoadOptions
        {
            Target = new TcpEnd(IpAddress.Parse("127.0.0.1"), (ushort)((IPEndPoint)silent.LocalEndPoint!).Port),
            Connections = 3,
            WarmUp = 0,
            Seconds = 1.5,
        };
        LoadResult got = new LoadGenerator(options, static () => { }).Run();
        Assert.Equal((3, 0), (got.Failures, got.Requests));
        Assert.StartsWith("at the end 3 had got nothing", got.FirstProblem, System.StringComparison.Ordinal);
        Assert.True(got.StallP50 >= 1000, $"{got.StallP50} ms");
    }

    [Fact]
    public void NobodyListens_IsSaidInWords()
    {
        // Bound and not listening: nobody else can have the port meanwhile.
        using var bound = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        bound.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var target = new TcpEnd(IpAddress.Parse("127.0.0.1"), (ushort)((IPEndPoint)bound.LocalEndPoint!).Port);
        var options = new LoadOptions { Target = target, Connections = 1, WarmUp = 0, Seconds = 0.1 };
        LoadResult got = new LoadGenerator(options, static () => { }).Run();
        Assert.Equal($"connect to {target}: Connection refused", got.FirstProblem);
    }
}
