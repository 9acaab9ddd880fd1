// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Threading.Tasks;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>What a daemon may do once it runs, and who may speak to it.</summary>
public sealed class PrivilegeTests : IDisposable
{
    // CAP_NET_BIND_SERVICE and CAP_NET_ADMIN.
    private const string Kept = "0000000000001400";
    private const string None = "0000000000000000";

    // Arguments: the socket, the user to become, and one more group. Exits with the error number: 13 is EACCES. The workers' sockets are
    // SOCK_SEQPACKET, the status' is SOCK_STREAM.
    private const string Program = """
        import grp, os, pwd, socket, sys
        path, user, group = sys.argv[1:]
        who = pwd.getpwnam(user)
        os.setgroups([grp.getgrnam(group).gr_gid] if group else [])
        os.setgid(who.pw_gid)
        os.setuid(who.pw_uid)
        kind = socket.SOCK_STREAM if "status" in path else socket.SOCK_SEQPACKET
        sys.exit(socket.socket(socket.AF_UNIX, kind).connect_ex(path))
        """;

    private readonly DaemonWorld _world = new();

    [Fact]
    public async Task Runs_EveryThreadHasWhatItNeedsAlone_AndConnectionsMoveAndComeBack()
    {
        Process[] daemons = [_world.StartDaemon(0), _world.StartDaemon(1)];
        await MoveAndComeBackAsync();
        foreach (Process daemon in daemons)
        {
            AssertPrivileges(daemon.Id, bounding: Kept);
        }
    }

    [Fact]
    public async Task StartedAsTheUnitDoes_TheSame()
    {
        string[] unit = File.ReadAllLines(Path.Combine(DaemonWorld.Root, "packaging", "systemd", "tcpm.service"));
        IEnumerable<string> named = unit.Single(static line => line.StartsWith("CapabilityBoundingSet=", StringComparison.Ordinal))
            .Split('=')[1].Split(' ').Select(static name => "+" + name["CAP_".Length..].ToLowerInvariant());
        string[] wrapper = ["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all," + string.Join(',', named)];
        Process[] daemons = [_world.StartDaemon(0, wrapper), _world.StartDaemon(1, wrapper)];
        await MoveAndComeBackAsync();
        foreach (Process daemon in daemons)
        {
            AssertPrivileges(daemon.Id, bounding: Kept);
        }
    }

    [Fact]
    public async Task MayNotDropTheBoundingSet_HasNoMoreForAllThat()
    {
        Process daemon = _world.StartDaemon(0, ["setpriv", "--bounding-set=-setpcap"]);
        Assert.Equal(0, (await _world.StatusOfAsync(0)).Given);
        AssertPrivileges(daemon.Id, bounding: null);
    }

    [Fact]
    public void Sockets_AreForTheGroup_AndNobodyElse()
    {
        // The world's own folder lets nobody through.
        File.SetUnixFileMode(_world.FileOf("."), (UnixFileMode)0b111_001_001);
        _world.Configure(0, static text => text + "\nworker_group = www-data");
        _world.StartDaemon(0);
        foreach (string socket in Directory.GetFiles(_world.SocketsOf(0)))
        {
            Assert.True(MayConnect(socket, "www-data"), socket);
            Assert.True(MayConnect(socket, "nobody", "www-data"), socket);
            Assert.False(MayConnect(socket, "nobody"), socket);
        }
    }

    [Fact]
    public void Sockets_WithoutAGroup_AreTheDaemonsOwn()
    {
        File.SetUnixFileMode(_world.FileOf("."), (UnixFileMode)0b111_001_001);
        _world.StartDaemon(0);
        foreach (string socket in Directory.GetFiles(_world.SocketsOf(0)))
        {
            Assert.True(MayConnect(socket, "root"), socket);
            Assert.False(MayConnect(socket, "www-data"), socket);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _world.Dispose();

    private async Task MoveAndComeBackAsync()
    {
        // The service's port is one of those that not everybody may have: to come back is to bind to it.
        _world.NodeOf(0).Run("sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=9000");
        _world.StartWorker(0);
        _world.StartWorker(1);
        await _world.WaitUntilConnectedAsync(0, 1);
        using StreamReaderWriter client = _world.Connect(0);
        Assert.Equal("1.there from 1.0", await client.AskAsync("get 1.there"));
        Assert.Equal("0.back from 0.0", await client.AskAsync("get 0.back"));
        Assert.Equal("1.again from 1.0", await client.AskAsync("get 1.again"));
    }

    private static void AssertPrivileges(int process, string? bounding)
    {
        string[][] threads =
        [
            .. Directory.GetDirectories(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/task"))
                .Select(ReadStatus).Where(static lines => lines.Length > 0),
        ];
        Assert.True(threads.Length > 3, "a runtime has some");
        foreach (string[] thread in threads)
        {
            Dictionary<string, string> status = thread
                .Select(static line => line.Split(':', 2)).ToDictionary(static words => words[0], static words => words[1].Trim());
            Assert.Equal((Kept, Kept, "1"), (status["CapPrm"], status["CapEff"], status["NoNewPrivs"]));
            Assert.Equal((None, None), (status["CapInh"], status["CapAmb"]));
            Assert.Equal(bounding ?? status["CapBnd"], status["CapBnd"]);
        }
    }

    // Nothing of a thread that has ended meanwhile, as those of a pool do.
    private static string[] ReadStatus(string thread)
    {
        try
        {
            return File.ReadAllLines(Path.Combine(thread, "status"));
        }
        catch (IOException)
        {
            return [];
        }
    }

    // By the kernel's own judgement: connect(2) asks whether the socket may be written to.
    private static bool MayConnect(string socket, string user, string group = "")
    {
        using Process process = Process.Start("python3", ["-c", Program, socket, user, group]);
        process.WaitForExit();
        Assert.Contains(process.ExitCode, (int[])[0, 13]);
        return process.ExitCode == 0;
    }
}
