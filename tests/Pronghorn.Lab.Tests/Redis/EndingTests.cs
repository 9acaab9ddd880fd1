// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Threading.Tasks;
using Xunit;

namespace Pronghorn.Lab.Tests.Redis;

/// <summary>Either side is killed: the other side and the host go on, and the next start works.</summary>
public sealed class EndingTests : IDisposable
{
    private readonly RedisLab _lab = new();

    public void Dispose() => _lab.Dispose();

    [Fact]
    public void ClientOnPronghorn_Killed_LeavesServerAndHostWorking()
    {
        _lab.StartServer();
        using RespConnection watcher = _lab.Connect();
        using (Process benchmark = StartBenchmark("-l", "-c", "20", "-t", "set"))
        {
            RedisServer.WaitForInfo(watcher, "connected_clients", value => value == "21");
            benchmark.Kill();
            benchmark.WaitForExit();
        }

        RedisServer.WaitForInfo(watcher, "connected_clients", value => value == "1");
        Assert.Equal("PONG", watcher.Text("PING"));
        AssertBenchmarkRuns();
    }

    [Fact]
    public void ServerOnPronghorn_Killed_EndsConnectionsAndStartsAgain()
    {
        RedisServer server = _lab.StartServer();
        using RespConnection client = _lab.Connect();
        client.Call("PING");
        server.Kill();
        Assert.ThrowsAny<Exception>(() => client.Text("PING"));
        Assert.Throws<SocketException>(() => _lab.Connect());
        _lab.StartServer();
        using RespConnection next = _lab.Connect();
        Assert.Equal("PONG", next.Text("PING"));
        AssertBenchmarkRuns();
    }

    [Fact]
    public void ServerOnPronghorn_KilledUnderLoadFromPronghorn_EndsTheClient()
    {
        RedisServer server = _lab.StartServer();
        using Process benchmark = StartBenchmark("-l", "-c", "20", "-t", "set");
        using (RespConnection watcher = _lab.Connect())
        {
            RedisServer.WaitForInfo(watcher, "connected_clients", value => value == "21");
        }

        server.Kill();
        Assert.True(benchmark.WaitForExit(60_000), "redis-benchmark has not noticed that the server is gone");
        Assert.NotEqual(0, benchmark.ExitCode);
        _lab.StartServer();
        AssertBenchmarkRuns();
    }

    [Fact]
    public void ToolsOnPronghorn_AgainstServerOnPronghorn_Work()
    {
        _lab.StartServer();
        AssertBenchmarkRuns();
        using Process cli = _lab.Hosts.Client.Start(
            "redis-cli", ["-h", TwoHosts.ServerAddress, "GET", "key:__rand_int__"], Product.Options(Side.Pronghorn));
        Assert.Equal("VXK", cli.StandardOutput.ReadToEnd().Trim());
    }

    [Fact]
    public void ThreadsOfTheProgram_ReadAndWrite_ServeEveryClient()
    {
        RedisServer server = _lab.StartServer("--io-threads", "4", "--io-threads-do-reads", "yes");

        // The threads of redis spin; where there are fewer processors than threads, they are slow on either stack.
        AssertBenchmarkRuns(requests: 1000);
        Parallel.For(0, 32, new ParallelOptions { MaxDegreeOfParallelism = 32 }, number =>
        {
            using RespConnection client =
                RespConnection.Connect(_lab.Hosts.Client, TwoHosts.ServerAddress, RedisServer.Port);
            byte[] value = new byte[20_000];
            new Random(number).NextBytes(value);
            for (int i = 0; i < 200; i++)
            {
                client.Queue("SET", $"{number}:{i}", value);
                client.Queue("GET", $"{number}:{i}");
                if (i % 8 == 7)
                {
                    client.Flush();
                    for (int reply = 0; reply < 8; reply++)
                    {
                        Assert.Equal("OK", client.ReadText());
                        Assert.Equal(value, (byte[])client.Read()!);
                    }
                }
            }
        });
        Assert.False(server.HasEnded);
    }

    private Process StartBenchmark(params string[] options) =>
        _lab.Hosts.Client.Start(
            "redis-benchmark", ["-h", TwoHosts.ServerAddress, "-q", .. options], Product.Options(Side.Pronghorn));

    private void AssertBenchmarkRuns(int requests = 20_000)
    {
        using Process benchmark = StartBenchmark(
            "-n", requests.ToString(CultureInfo.InvariantCulture), "-c", "50", "-P", "4", "-t", "set,get,incr");
        Task<string> error = benchmark.StandardError.ReadToEndAsync();
        string output = benchmark.StandardOutput.ReadToEnd();
        benchmark.WaitForExit();
        Assert.True(benchmark.ExitCode == 0, output + error.Result);
        Assert.Contains("INCR: ", output, StringComparison.Ordinal);
        Assert.DoesNotContain("Error", output, StringComparison.Ordinal);
    }
}
