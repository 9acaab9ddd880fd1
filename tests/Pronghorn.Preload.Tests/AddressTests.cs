// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Preload.Tests;

/// <summary>Addresses that come, go and move while a wildcard listener runs.</summary>
[Collection(HostsCollection.Name)]
public sealed class AddressTests(HostsFixture fixture)
{
    private const string Address = "10.0.0.50";

    // Answers each connection with whose it is: the kernel lists its own.
    private const string Server = """
        import socket, sys
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
        while True:
            c, peer = s.accept()
            wanted = ':%04X' % peer[1]
            lines = [line.split() for line in open('/proc/self/net/tcp')]
            c.sendall(b'kernel' if any(line[2].endswith(wanted) for line in lines) else b'stack')
            c.close()
        """;

    private const string Client = """
        import socket, sys
        c = socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.5)
        print(c.recv(100).decode())
        """;

    [Fact]
    public void AddressComesMovesAndReturns_ListenerServesItWhereItIs()
    {
        NetworkNamespace host = fixture.Hosts.Server;
        string port = fixture.TakePorts().ToString(CultureInfo.InvariantCulture);
        using RunningProgram server = RunningProgram.Start(
            host, PreloadLibrary.Environment(), "/usr/bin/python3", "-c", Server, port);
        server.WaitForOutput("ready");
        server.WaitUntil(() => WhoServes(TwoHosts.ServerAddress, port) == "stack", "the first address on the stack");
        try
        {
            host.Run("ip", "address", "add", Address + "/24", "dev", TwoHosts.Interface);
            server.WaitUntil(() => WhoServes(Address, port) == "stack", "the new address on the stack");

            // Another interface has it now: what comes for it over ours is the kernel's.
            host.Run("ip", "address", "del", Address + "/24", "dev", TwoHosts.Interface);
            host.Run("ip", "address", "add", Address + "/32", "dev", "lo");
            server.WaitUntil(() => WhoServes(Address, port) == "kernel", "the moved address on the kernel");
            host.Run("ip", "address", "del", Address + "/32", "dev", "lo");
            host.Run("ip", "address", "add", Address + "/24", "dev", TwoHosts.Interface);
            server.WaitUntil(() => WhoServes(Address, port) == "stack", "the address that is back on the stack");
            Assert.Equal("stack", WhoServes(TwoHosts.ServerAddress, port));
        }
        finally
        {
            host.TryRun("ip", "address", "del", Address + "/32", "dev", "lo");
            host.TryRun("ip", "address", "del", Address + "/24", "dev", TwoHosts.Interface);
        }
    }

    private string WhoServes(string address, string port) =>
        RunningProgram.Run(fixture.Hosts.Client, null, "/usr/bin/python3", "-c", Client, address, port).Output.Trim();
}
