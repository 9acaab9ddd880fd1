// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Linq;
using Pronghorn.Lab;
using Pronghorn.Runtime.Statistics;
using Xunit;

namespace Pronghorn.Preload.Tests;

/// <summary>What becomes of a program whose interface changes under it. Each test has a network of its own to break.</summary>
[Collection(HostsCollection.Name)]
public sealed class DeviceTests : IDisposable
{
    private const string Port = "20000";

    // Answers each connection with whose it is (the kernel lists its own), and then with what it was sent.
    private const string Server = """
        import socket, sys, threading
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(('0.0.0.0', int(sys.argv[1])))
        s.listen()
        s.settimeout(0)
        try:
            s.accept()
        except BlockingIOError:
            pass
        s.settimeout(40)
        print('ready', flush=True)
        def serve(c, peer):
            wanted = ':%04X' % peer[1]
            lines = [line.split() for line in open('/proc/self/net/tcp')]
            c.sendall(b'kernel\n' if any(line[2].endswith(wanted) for line in lines) else b'stack.\n')
            while True:
                data = c.recv(100000)
                if not data:
                    return
                c.sendall(data)
        while True:
            threading.Thread(target=serve, args=s.accept(), daemon=True).start()
        """;

    private const string Client = """
        import socket, sys
        c = socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.5)
        print(c.recv(7).decode().strip())
        """;

    // Sends 300,000 bytes on an old connection whenever told to, and then on a new one, and counts what comes back.
    private const string Echo = """
        import socket, sys, threading
        def connect():
            c = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
            assert c.recv(7) == b'stack.\n'
            return c
        def echo(c):
            data = bytes(range(250)) * 1200
            threading.Thread(target=c.sendall, args=(data,)).start()
            back = b''
            while len(back) < len(data):
                back += c.recv(100000)
            assert back == data
        old = connect()
        echo(old)
        print('connected', flush=True)
        sys.stdin.readline()
        echo(old)
        echo(connect())
        print('echoed', flush=True)
        """;

    private readonly TwoHosts _hosts = TwoHosts.Create();

    public void Dispose() => _hosts.Dispose();

    [Fact]
    public void InterfaceDeletedAndMadeAgain_Program_SaysSoAndGoesOnOverTheKernel()
    {
        using RunningProgram server = StartServer(strict: false);
        Assert.Equal("stack.", WhoServes());

        _hosts.Server.Run("ip", "link", "del", TwoHosts.Interface);
        server.WaitUntil(() => server.Error.EndsWith('\n'), "a line on standard error");
        Assert.StartsWith(
            $"pronghorn: the interface {TwoHosts.Interface} is gone (deleted, or moved to another network namespace)",
            server.Error, StringComparison.Ordinal);
        server.WaitUntil(() => Counter(server, "device_gone") == 1, "device_gone on the page");

        _hosts.Server.Run(
            "ip", "link", "add", TwoHosts.Interface, "type", "veth", "peer", "name", TwoHosts.Interface, "netns", _hosts.Client.Name);
        foreach ((NetworkNamespace side, string address) in
            (ReadOnlySpan<(NetworkNamespace, string)>)[(_hosts.Client, TwoHosts.ClientAddress), (_hosts.Server, TwoHosts.ServerAddress)])
        {
            side.Run("ip", "address", "add", address + "/24", "dev", TwoHosts.Interface);
            side.Run("ip", "link", "set", TwoHosts.Interface, "up");
        }

        server.WaitUntil(() => WhoServes() == "kernel", "a connection over the new interface");
        Assert.Equal(1, server.Error.Count(c => c == '\n'));
    }

    [Fact]
    public void InterfaceDeleted_StrictProgram_IsAskedToEnd()
    {
        using RunningProgram server = StartServer(strict: true);
        Assert.Equal("stack.", WhoServes());

        _hosts.Server.Run("ip", "link", "del", TwoHosts.Interface);

        Assert.Equal(128 + 15, server.WaitForEnd().ExitCode);
        Assert.Contains("is gone", server.Error, StringComparison.Ordinal);
        Assert.EndsWith("the program is asked to end (SIGTERM)\n", server.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void MtuRaisedBeyondAFrame_Connections_GoOnAndTheProgramSaysSo()
    {
        using RunningProgram server = StartServer(strict: false);
        using RunningProgram client = RunningProgram.Start(
            _hosts.Client, null, "/usr/bin/python3", "-c", Echo, TwoHosts.ServerAddress, Port);
        client.WaitForOutput("connected");

        // The peer's first: a packet of its new size must have somewhere to go.
        _hosts.Server.Run("ip", "link", "set", TwoHosts.Interface, "mtu", "3000");
        _hosts.Client.Run("ip", "link", "set", TwoHosts.Interface, "mtu", "3000");
        server.WaitUntil(() => server.Error.EndsWith('\n'), "a line on standard error");
        client.Process.StandardInput.WriteLine();
        client.Process.StandardInput.Flush();

        LabOutput output = client.WaitForEnd();
        Assert.True(output.ExitCode == 0, output.Error);
        Assert.Equal(
            $"pronghorn: the MTU of {TwoHosts.Interface} is now 3000, and a frame holds packets up to 1774; going on with 1774, but a new "
            + $"start needs: ip link set {TwoHosts.Interface} mtu 1774\n",
            server.Error);
        Assert.Equal(0, Counter(server, "device_kernel_receive_dropped"));

        // Told again when it grows again; a program that looks after both changes sees none.
        server.WaitUntil(
            () =>
            {
                _hosts.Server.Run("ip", "link", "set", TwoHosts.Interface, "mtu", "1500");
                Assert.Equal("stack.", WhoServes());
                _hosts.Server.Run("ip", "link", "set", TwoHosts.Interface, "mtu", "2500");
                Assert.Equal("stack.", WhoServes());
                return server.Error.Contains("is now 2500", StringComparison.Ordinal);
            },
            "a second line");
    }

    private RunningProgram StartServer(bool strict)
    {
        RunningProgram server = RunningProgram.Start(
            _hosts.Server, PreloadLibrary.Environment(strict), "/usr/bin/python3", "-c", Server, Port);
        server.WaitForOutput("ready");
        return server;
    }

    private string WhoServes() =>
        RunningProgram.Run(_hosts.Client, null, "/usr/bin/python3", "-c", Client, TwoHosts.ServerAddress, Port).Output.Trim();

    private static long Counter(RunningProgram program, string name)
    {
        string page = Path.Combine(StatisticsPage.Directory, program.Process.Id.ToString(CultureInfo.InvariantCulture));
        if (StatisticsReader.Open(page, out StatisticsReader? reader) != 0 || reader is null)
        {
            return -1;
        }

        using (reader)
        {
            reader.TryRead(out _, out StatisticsCounter[] counters, out _);
            return counters.Where(counter => StatisticsReader.NameOf(counter) == name)
                .Select(counter => counter.Value).DefaultIfEmpty(-1).First();
        }
    }
}
