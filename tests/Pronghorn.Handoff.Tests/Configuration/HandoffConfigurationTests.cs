// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Linq;
using Pronghorn.Handoff.Configuration;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Handoff.Tests.Configuration;

public sealed class HandoffConfigurationTests
{
    [Fact]
    public void OnlyAnAddress_OthersHaveTheirDefaults()
    {
        HandoffConfiguration read = HandoffConfiguration.Parse("tcpm.conf", "local_ip = 10.0.0.2\n");

        Assert.Equal(1, read.WorkerCount);
        Assert.Equal(1950, read.Port);
        Assert.Equal([IpAddress.Parse("10.0.0.2")], read.LocalAddresses.AsEnumerable());
        Assert.Empty(read.Peers);
    }

    [Fact]
    public void EveryKey_IsRead()
    {
        HandoffConfiguration read = HandoffConfiguration.Parse("tcpm.conf", """
            # a node
            svcWorkerNum = 8
            peer = edge-2 10.0.0.3        # the port below
            port = 1951
            peer = edge-3 fd00::4 2000
            peer = edge-4 10.0.0.5 fd00::5
            local_ip = 10.0.0.2, fd00::2
            interface = eth1
            socket_directory = /run/other
            certificate = /etc/tcpm/node.pem
            key = /etc/tcpm/node.key
            authority = /etc/tcpm/ca.pem
            held_megabytes = 64
            max_connections = 1000
            peer_timeout = 60
            worker_moves_per_second = 500
            metrics = [::1]:9951
            worker_group = www-data
            """);

        Assert.Equal(8, read.WorkerCount);
        Assert.Equal(
            ["edge-2 10.0.0.3:1951 10.0.0.3", "edge-3 [fd00::4]:2000 fd00::4", "edge-4 10.0.0.5:1951 10.0.0.5 fd00::5"],
            read.Peers.Select(static peer => $"{peer.Name} {peer.Daemon} {string.Join(' ', peer.Addresses)}"));
        Assert.Equal(2, read.LocalAddresses.Length);
        Assert.Equal((1951, "eth1", "/run/other", 64, 1000, 60), (
            read.Port, read.Interface, read.SocketDirectory, read.HeldMegabytes, read.MaximumConnections, read.PeerTimeout));
        Assert.Equal(("[::1]:9951", "www-data", 500), (read.Metrics!.ToString(), read.WorkerGroup, read.WorkerMovesPerSecond));
    }

    [Fact]
    public void SharedKey_StandsForCertificates()
    {
        HandoffConfiguration read = HandoffConfiguration.Parse(
            "tcpm.conf", "local_ip = 10.0.0.2\npreshared_key = /etc/tcpm/key\nname = edge-1.example\n");
        Assert.Equal(("/etc/tcpm/key", "edge-1.example"), (read.PresharedKey, read.Name));
    }

    [Theory]
    [InlineData("svcWorkerNum = 0", "tcpm.conf:2: svcWorkerNum is \"0\"; it must be a whole number from 1 to 512")]
    [InlineData("svcWorkerNum = 513", "from 1 to 512")]
    [InlineData("peer_timeout = 4", "from 5 to 3600")]
    [InlineData("worker_moves_per_second = 0", "from 1 to 1000000")]
    [InlineData("peer = edge-2 10.0.0.3 10.0.0.4 10.0.0.5", "is not \"NAME ADDRESS")]
    [InlineData("peer = edge-2 10.0.0.3\npeer = edge-3 10.0.0.4 10.0.0.3", "edge-3 at 10.0.0.4:1950 is there twice")]
    [InlineData("port = 1023", "from 1024 to 65535")]
    [InlineData("port = 65536", "from 1024 to 65535")]
    [InlineData("port = x", "from 1024 to 65535")]
    [InlineData("local_ip = 10.0.0.3", "local_ip is in line 1 already")]
    [InlineData("prot = 1950", "there is no key \"prot\"")]
    [InlineData("just words", "is not \"key = value\"")]
    [InlineData("peer = edge-2", "is not \"NAME ADDRESS [SECOND-ADDRESS] [PORT]\"")]
    [InlineData("peer = edge-2 nowhere", "is not \"NAME ADDRESS [SECOND-ADDRESS] [PORT]\"")]
    [InlineData("peer = me 10.0.0.2", "is this node itself")]
    [InlineData("peer = a 10.0.0.3\npeer = a 10.0.0.4", "tcpm.conf:3: peer a at 10.0.0.4:1950 is there twice")]
    [InlineData("certificate = /a", "belong together")]
    [InlineData("certificate = a", "a path from the root")]
    [InlineData("preshared_key = a", "a path from the root")]
    [InlineData("certificate = /a\nkey = /b\nauthority = /c\npreshared_key = /d", "both certificates and a preshared_key")]
    [InlineData("certificate = /a\nkey = /b\nauthority = /c\nname = edge-1", "name belongs to preshared_key")]
    [InlineData("metrics = 9951", "ADDRESS:PORT, as 127.0.0.1:9951")]
    [InlineData("metrics = 127.0.0.1", "ADDRESS:PORT, as 127.0.0.1:9951")]
    [InlineData("metrics = localhost:9951", "ADDRESS:PORT, as 127.0.0.1:9951")]
    [InlineData("worker_group =", "worker_group is empty")]
    [InlineData("name = edge 1", "it must be 1 to 64 letters")]
    [InlineData("name = 10.0.0.3", "not an address")]
    [InlineData("interface =", "interface is empty")]
    public void WrongLine_IsNamedWithItsRange(string line, string expected)
    {
        HandoffConfigurationException error = Assert.Throws<HandoffConfigurationException>(
            () => HandoffConfiguration.Parse("tcpm.conf", "local_ip = 10.0.0.2\n" + line));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\e[31mred\a = 1", "tcpm.conf:2: \"\\x1b[31mred\\x07 = 1\" has control characters")]
    [InlineData("preshared_key = /etc/\e]0;title\a", "/etc/\\x1b]0;title\\x07\" has control characters")]
    [InlineData("peer = a\u009bK 10.0.0.3", "peer = a\\x9bK 10.0.0.3")]
    [InlineData("port = \u202e0591", "port is \"\\u{202e}0591\"")]
    [InlineData("\u007fELF\u0002\0\0", "\"\\x7fELF\\x02\\x00\\x00\"")]
    public void Garbage_IsShownWithoutWhatSteersATerminal(string line, string expected)
    {
        string message = Assert.Throws<HandoffConfigurationException>(
            () => HandoffConfiguration.Parse("tcpm.conf", "local_ip = 10.0.0.2\n" + line)).Message;
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.DoesNotContain(message, static one => char.IsControl(one) || one == '\u202e');
    }

    [Theory]
    [InlineData("LONG")]
    [InlineData("LONG = 1")]
    [InlineData("port = LONG")]
    [InlineData("metrics = LONG")]
    [InlineData("certificate = LONG")]
    [InlineData("name = LONG")]
    [InlineData("service_ip = LONG")]
    [InlineData("peer = LONG")]
    [InlineData("peer = LONG 10.0.0.2")]
    [InlineData("peer = LONG 10.0.0.3\npeer = LONG 10.0.0.4")]
    public void LongLine_IsShortened_AndTheRestIsSaid(string line)
    {
        string text = "local_ip = 10.0.0.2\n" + line.Replace("LONG", new string('x', 100_000), StringComparison.Ordinal);
        string message = Assert.Throws<HandoffConfigurationException>(() => HandoffConfiguration.Parse("tcpm.conf", text)).Message;
        Assert.InRange(message.Length, 1, 600);
        Assert.Matches("xxx\\.\\.\\.\"? \\(100[0-9]{3} characters\\)(;| is| at)", message);
    }

    [Theory]
    [InlineData("# \e[31m")]
    [InlineData("port\t=\t1951\r")]
    [InlineData("interface = größe-日本")]
    public void CommentsBlanksAndLetters_AreNoGarbage(string line) =>
        Assert.NotNull(HandoffConfiguration.Parse("tcpm.conf", "local_ip = 10.0.0.2\n" + line));

    [Theory]
    [InlineData("")]
    [InlineData("local_ip = 0.0.0.0")]
    [InlineData("local_ip = 10.0.0.1 10.0.0.1")]
    [InlineData("local_ip = 10.0.0.1 10.0.0.2 10.0.0.3")]
    public void WrongAddresses_AreNamed(string text) => Assert.Contains(
        "local_ip",
        Assert.Throws<HandoffConfigurationException>(() => HandoffConfiguration.Parse("tcpm.conf", text)).Message,
        StringComparison.Ordinal);

    [Fact]
    public void FileThatCannotBeRead_IsNamedOnce()
    {
        string folder = Directory.CreateTempSubdirectory("tcpm-").FullName;
        string path = Path.Combine(folder, "tcpm.conf");
        File.CreateSymbolicLink(path, path);
        Assert.Equal(
            path + ": Too many levels of symbolic links",
            Assert.Throws<HandoffConfigurationException>(() => HandoffConfiguration.Read(path)).Message);
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public void ServiceAddresses_AreRead()
    {
        HandoffConfiguration read = HandoffConfiguration.Parse(
            "tcpm.conf", "service_ip = 10.9.9.9 fd09::9\nlocal_ip = 10.0.0.2 fd00::2\npeer = b 10.0.0.3 fd00::3\n");
        Assert.Equal(["10.9.9.9", "fd09::9"], read.ServiceAddresses.Select(static address => address.ToString()));
    }

    [Theory]
    [InlineData("service_ip =\nlocal_ip = 10.0.0.2", "service_ip has 0 addresses; 1 to 16 are allowed")]
    [InlineData("service_ip = 0.0.0.0\nlocal_ip = 10.0.0.2", "\"0.0.0.0\" is not an address")]
    [InlineData("service_ip = 10.9.9.9 10.9.9.9\nlocal_ip = 10.0.0.2", "service_ip has one address twice")]
    [InlineData("service_ip = fd09::9\nlocal_ip = 10.0.0.2", "service_ip has fd09::9, and local_ip has no address of that family")]
    [InlineData(
        "service_ip = fd09::9\nlocal_ip = 10.0.0.2 fd00::2\npeer = b 10.0.0.3", "fd09::9, and peer b has no address of that family")]
    public void WrongServiceAddresses_AreNamed(string text, string expected) => Assert.Contains(
        expected,
        Assert.Throws<HandoffConfigurationException>(() => HandoffConfiguration.Parse("tcpm.conf", text)).Message,
        StringComparison.Ordinal);
}
