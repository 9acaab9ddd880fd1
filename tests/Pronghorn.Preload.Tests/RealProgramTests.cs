// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Security.Cryptography;
using System.Text.RegularExpressions;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Preload.Tests;

/// <summary>Debian's programs as they are, server or client or both on the stack.</summary>
[Collection(HostsCollection.Name)]
public sealed partial class RealProgramTests(HostsFixture fixture)
{
    private const string Python = "/usr/bin/python3";

    [Theory]
    [InlineData("on", "off", true, false)]
    [InlineData("off", "off", true, false)]
    [InlineData("on", "on", true, true)]
    [InlineData("on", "off", false, true)]
    public void Nginx_LargeFileAndKeepAlive_AreBitExact(string sendfile, string daemon, bool serverOnStack, bool clientOnStack)
    {
        string root = MakeSite(out string sum, out string smallSum);
        using NginxServer server = NginxServer.Start(fixture, root, sendfile, daemon, serverOnStack);
        string url = $"http://{TwoHosts.ServerAddress}:{server.Port}";
        string large = Path.Combine(root, "got-large");
        string small = Path.Combine(root, "got-small");
        Dictionary<string, string?>? environment = clientOnStack ? PreloadLibrary.Environment() : null;
        LabOutput output = RunningProgram.Run(
            fixture.Hosts.Client, environment, "curl", "-sSf", "--no-progress-meter",
            "-w", "%{num_connects} ", "-o", large, url + "/large", "-o", small, url + "/small");
        Assert.True(output.ExitCode == 0, output.Error + server.Log());

        // The second request went over the first one's connection.
        Assert.Equal("1 0", output.Output.Trim());
        Assert.Equal(sum, Sum(large));
        Assert.Equal(smallSum, Sum(small));
        server.ExpectPath(serverOnStack);
    }

    [Fact]
    public void Nginx_UnderWrk_AnswersEverything()
    {
        string root = MakeSite(out _, out _);
        using NginxServer server = NginxServer.Start(fixture, root, "on", "off", onStack: true);
        LabOutput output = RunningProgram.Run(
            fixture.Hosts.Client, null, "wrk", "-t1", "-c50", "-d2s",
            $"http://{TwoHosts.ServerAddress}:{server.Port}/small");
        Assert.Equal(0, output.ExitCode);
        Assert.DoesNotContain("Socket errors", output.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("Non-2xx", output.Output, StringComparison.Ordinal);
        Assert.True(long.Parse(RequestCount().Match(output.Output).Groups[1].Value, CultureInfo.InvariantCulture) > 1000, output.Output);
    }

    [Fact]
    public void Wrk_OnTheStack_GetsAnswers()
    {
        string root = MakeSite(out _, out _);
        using NginxServer server = NginxServer.Start(fixture, root, "on", "off", onStack: false);
        LabOutput output = RunningProgram.Run(
            fixture.Hosts.Client, PreloadLibrary.Environment(), "wrk", "-t2", "-c20", "-d2s",
            $"http://{TwoHosts.ServerAddress}:{server.Port}/small");
        Assert.True(output.ExitCode == 0, output.Error);
        Assert.DoesNotContain("Socket errors", output.Output, StringComparison.Ordinal);
        Assert.True(long.Parse(RequestCount().Match(output.Output).Groups[1].Value, CultureInfo.InvariantCulture) > 1000, output.Output);
    }

    [Fact]
    public void Memcached_ClientInPython_SetsAndGets()
    {
        const string Client = """
            import socket, sys, hashlib
            s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
            f = s.makefile('rwb')
            for i in range(2000):
                value = hashlib.sha256(str(i).encode()).hexdigest().encode() * (1 + i % 200)
                f.write(b'set k%d 0 0 %d\r\n%s\r\n' % (i, len(value), value)); f.flush()
                assert f.readline() == b'STORED\r\n'
            for i in range(2000):
                value = hashlib.sha256(str(i).encode()).hexdigest().encode() * (1 + i % 200)
                f.write(b'get k%d\r\n' % i); f.flush()
                assert f.readline() == b'VALUE k%d 0 %d\r\n' % (i, len(value))
                assert f.read(len(value) + 2) == value + b'\r\n'
                assert f.readline() == b'END\r\n'
            f.write(b'quit\r\n'); f.flush()
            assert f.read() == b''
            print('done')
            """;
        string port = Port();
        using RunningProgram server = RunningProgram.Start(
            fixture.Hosts.Server, PreloadLibrary.Environment(), "memcached", "-u", "root", "-t", "1", "-U", "0", "-m", "128", "-p", port);
        WaitForPort(server, port);
        LabOutput output = RunningProgram.Run(
            fixture.Hosts.Client, null, Python, "-c", Client, TwoHosts.ServerAddress, port);
        Assert.True(output.ExitCode == 0, output.Error + server.Error);
        Assert.Equal("done", output.Output.Trim());
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void Python_HttpServerAndAsyncio_Agree(bool serverOnStack, bool clientOnStack)
    {
        const string Client = """
            import asyncio, hashlib, sys
            async def get(host, port, path):
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(b'GET %s HTTP/1.0\r\nHost: x\r\n\r\n' % path.encode())
                data = await reader.read()
                writer.close()
                await writer.wait_closed()
                return hashlib.sha256(data.partition(b'\r\n\r\n')[2]).hexdigest()
            async def main():
                sums = await asyncio.gather(*[get(sys.argv[1], int(sys.argv[2]), '/small') for _ in range(30)])
                assert len(set(sums)) == 1
                print(sums[0], await get(sys.argv[1], int(sys.argv[2]), '/large'))
            asyncio.run(main())
            """;
        string root = MakeSite(out string sum, out string smallSum);
        string port = Port();

        // Its default: an IPv6 wildcard that takes IPv4, too.
        using RunningProgram server = RunningProgram.Start(
            fixture.Hosts.Server, serverOnStack ? PreloadLibrary.Environment() : null, Python, "-m", "http.server", port,
            "--bind", "::", "--directory", root);
        WaitForPort(server, port);
        LabOutput output = RunningProgram.Run(
            fixture.Hosts.Client, clientOnStack ? PreloadLibrary.Environment() : null, Python, "-c", Client,
            TwoHosts.ServerAddress, port);
        Assert.True(output.ExitCode == 0, output.Error + server.Error);
        Assert.Equal($"{smallSum} {sum}", output.Output.Trim());
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public void Redis_CommandLine_SetsAndGets(bool serverOnStack, bool clientOnStack)
    {
        string port = Port();
        using RunningProgram server = StartRedis(port, serverOnStack);
        Dictionary<string, string?>? environment = clientOnStack ? PreloadLibrary.Environment() : null;
        string[] common = ["-h", TwoHosts.ServerAddress, "-p", port];
        LabOutput output = RunningProgram.Run(fixture.Hosts.Client, environment, "redis-cli", [.. common, "set", "name", "pronghorn"]);
        Assert.Equal("OK", output.Output.Trim());
        output = RunningProgram.Run(fixture.Hosts.Client, environment, "redis-cli", [.. common, "get", "name"]);
        Assert.Equal("pronghorn", output.Output.Trim());
        output = RunningProgram.Run(
            fixture.Hosts.Client, environment, "redis-benchmark",
            [.. common, "-n", "20000", "-c", "20", "-q", "-t", "set,get"]);
        Assert.True(output.ExitCode == 0, output.Error);
    }

    [Fact]
    public void Redis_ThousandIdleConnections_CostLessThanFortyMegabytes()
    {
        const string Client = """
            import socket, sys
            held = [socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) for _ in range(1000)]
            for s in held:
                s.sendall(b'PING\r\n')
            for s in held:
                assert s.recv(7) == b'+PONG\r\n'
            print('ready', flush=True)
            sys.stdin.read()
            """;
        long[] sizes = new long[2];
        for (int i = 0; i < 2; i++)
        {
            string port = Port();
            using RunningProgram server = StartRedis(port, onStack: i == 1);
            using RunningProgram client = RunningProgram.Start(
                fixture.Hosts.Client, null, Python, "-c", Client, TwoHosts.ServerAddress, port);
            client.WaitForOutput("ready");
            string status = File.ReadAllText($"/proc/{server.Process.Id}/status");
            sizes[i] = long.Parse(ResidentSize().Match(status).Groups[1].Value, CultureInfo.InvariantCulture);
        }

        Assert.True(sizes[1] - sizes[0] < 40 << 10, $"{sizes[0]} KiB on the kernel, {sizes[1]} KiB on the stack");
    }

    [GeneratedRegex(@"(\d+) requests in")]
    private static partial Regex RequestCount();

    [GeneratedRegex(@"VmRSS:\s*(\d+) kB")]
    private static partial Regex ResidentSize();

    internal static void WaitForPort(RunningProgram server, string port)
    {
        string pattern = string.Create(CultureInfo.InvariantCulture, $":{int.Parse(port, CultureInfo.InvariantCulture):X4} ");
        server.WaitUntil(
            () => Listens($"/proc/{server.Process.Id}/net/tcp", pattern) || Listens($"/proc/{server.Process.Id}/net/tcp6", pattern),
            $"listening on {port}");
    }

    private static bool Listens(string path, string pattern) =>
        File.ReadLines(path).Any(line =>
            line.Contains(pattern, StringComparison.Ordinal) && line.Contains(" 0A ", StringComparison.Ordinal));

    private static string Sum(string file)
    {
        using FileStream stream = File.OpenRead(file);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    private RunningProgram StartRedis(string port, bool onStack)
    {
        RunningProgram server = RunningProgram.Start(
            fixture.Hosts.Server, onStack ? PreloadLibrary.Environment() : null, "redis-server", "--port", port,
            "--save", "", "--appendonly", "no", "--protected-mode", "no", "--dir", fixture.Directory);
        WaitForPort(server, port);
        return server;
    }

    private string Port() => fixture.TakePorts().ToString(CultureInfo.InvariantCulture);

    private string MakeSite(out string sum, out string smallSum)
    {
        string root = Directory.CreateDirectory(Path.Combine(fixture.Directory, "site" + Port())).FullName;
        File.SetUnixFileMode(root, (UnixFileMode)0x1ff);
        byte[] data = new byte[50 << 20];
        new Random(42).NextBytes(data);
        File.WriteAllBytes(Path.Combine(root, "large"), data);
        File.WriteAllBytes(Path.Combine(root, "small"), data[..3000]);
        sum = Sum(Path.Combine(root, "large"));
        smallSum = Sum(Path.Combine(root, "small"));
        return root;
    }
}
