// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Pronghorn.Lab;
using Pronghorn.Runtime.Statistics;
using Pronghorn.Stack.Tcp;
using Xunit;

namespace Pronghorn.Preload.Tests;

/// <summary>
/// Surroundings in which the stack cannot run. By default the program works over the kernel after one line on standard error;
/// PRONGHORN_STRICT makes it an error.
/// </summary>
[Collection(HostsCollection.Name)]
public sealed class SurroundingsTests(HostsFixture fixture)
{
    // Serves one connection on a port, then ends.
    private const string Server = """
        import socket, sys
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(('0.0.0.0', int(sys.argv[1])))
        s.listen()
        s.settimeout(20)
        print('ready', flush=True)
        c, _ = s.accept()
        c.sendall(c.recv(100).upper())
        c.close()
        """;

    private const string Client = """
        import socket, sys
        c = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
        print('connected', flush=True)
        sys.stdin.read()
        c.sendall(b'hello')
        print(c.recv(100).decode())
        """;

    // What a program without root needs for the stack.
    private const string Capabilities = "+net_admin,+net_raw,+bpf,+perfmon,+sys_admin,+ipc_lock";

    [Theory]
    [InlineData("setpriv", "--bounding-set=-all --inh-caps=-all --reuid=65534 --regid=65534 --clear-groups")]
    [InlineData("setpriv", "--bounding-set=-net_admin,-net_raw,-bpf,-sys_admin --inh-caps=-all")]
    public void WithoutPrivileges_Program_RunsOnTheKernel(string wrapper, string arguments)
    {
        Dictionary<string, string?> environment = InstalledForEverybody();
        ExpectFallback(environment, [wrapper, .. arguments.Split(' ')]);
    }

    [Fact]
    public void NoSuchInterface_Program_RunsOnTheKernel() =>
        ExpectFallback(
            new Dictionary<string, string?>(PreloadLibrary.Environment(strict: false)) { ["PRONGHORN_INTERFACE"] = "nosuch0" },
            []);

    [Theory]
    [InlineData("/dev/null")]
    [InlineData("closed")]
    public void StandardErrorThatNobodyReads_Fallback_IsToldToTheSystemLog(string standardError)
    {
        // Where it is closed, the listening socket gets its number: the line must not go there either.
        const string Daemon = """
            import os, socket, sys
            log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            log.bind('/dev/log')
            log.settimeout(20)
            program = "import socket; s = socket.create_server(('0.0.0.0', 0)); s.setblocking(False); s.accept()"
            environment = dict(os.environ, LD_PRELOAD=sys.argv[1], PRONGHORN_INTERFACE='nosuch0')
            null = (os.POSIX_SPAWN_OPEN, 2, '/dev/null', os.O_WRONLY, 0)
            action = (os.POSIX_SPAWN_CLOSE, 2) if sys.argv[2] == 'closed' else null
            child = os.posix_spawn(sys.executable, [sys.executable, '-c', program], environment, file_actions=[action])
            os.waitpid(child, 0)
            print(log.recv(4096).decode())
            """;
        var environment = new Dictionary<string, string?> { ["PRONGHORN_LIBRARY_PATH"] = null, ["PRONGHORN_STRICT"] = null };
        LabOutput output = RunningProgram.Run(
            fixture.Hosts.Server, environment, "unshare", "--mount", "sh", "-c",
            "mount -t tmpfs none /dev && mknod /dev/null c 1 3 && mknod /dev/urandom c 1 9 && exec python3 \"$@\"",
            "sh", "-c", Daemon, PreloadLibrary.Path, standardError);

        Assert.StartsWith("<28>python3", output.Output, StringComparison.Ordinal);
        Assert.Contains("]: pronghorn: there is no network interface 'nosuch0'", output.Output, StringComparison.Ordinal);
        Assert.Empty(output.Error);
    }

    [Fact]
    public void ProgramAttachedByAnother_Program_RunsOnTheKernel()
    {
        string source = Path.Combine(fixture.Directory, "pass.c");
        string compiled = Path.Combine(fixture.Directory, "pass.o");
        File.WriteAllText(
            source,
            "__attribute__((section(\"xdp\"))) int pass(void *context) { return 2; }\n"
            + "char terms[] __attribute__((section(\"license\"))) = \"GPL\";\n");
        LabCommand.Run("clang", "-O2", "-target", "bpf", "-c", source, "-o", compiled);
        fixture.Hosts.Server.Run("ip", "link", "set", TwoHosts.Interface, "xdp", "obj", compiled, "sec", "xdp");
        try
        {
            ExpectFallback(PreloadLibrary.Environment(strict: false), []);
        }
        finally
        {
            fixture.Hosts.Server.Run("ip", "link", "set", TwoHosts.Interface, "xdp", "off");
        }
    }

    [Fact]
    public void DeviceHeldByAnotherProcess_Program_RunsOnTheKernel()
    {
        string port = Port();
        using RunningProgram holder = StartServer(PreloadLibrary.Environment(), port, []);
        ExpectFallback(PreloadLibrary.Environment(strict: false), []);

        // The holder was not disturbed.
        ExpectAnswer(port);
        Assert.Equal(0, holder.WaitForEnd().ExitCode);
        Assert.Empty(holder.Error);
    }

    [Fact]
    public void LockedMemoryShort_PrivilegedProgram_RunsOnTheStack()
    {
        // CAP_IPC_LOCK stands above the limit (getrlimit(2)), and a kernel of this age charges maps to control groups.
        string port = Port();
        using RunningProgram server = StartServer(PreloadLibrary.Environment(strict: false), port, ["prlimit", "--memlock=65536:65536"]);
        ExpectAnswer(port, () => ExpectPage(server, owner: 0));
        Assert.Equal(0, server.WaitForEnd().ExitCode);
        Assert.Empty(server.Error);
    }

    [Fact]
    public void LockedMemoryShort_ProgramWithoutThePrivilegeToLock_RunsOnTheKernel() =>
        ExpectFallback(
            PreloadLibrary.Environment(strict: false),
            ["prlimit", "--memlock=65536:65536", "setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"]);

    [Fact]
    public void CapabilitiesWithoutRoot_Program_RunsOnTheStackAndKeepsAPageOfItsOwn()
    {
        // The first program that runs as root makes the directory for everybody.
        string first = Port();
        using (RunningProgram root = StartServer(PreloadLibrary.Environment(), first, []))
        {
            ExpectAnswer(first, () => ExpectPage(root, owner: 0));
            root.WaitForEnd();
        }

        string port = Port();
        using RunningProgram server = StartServer(InstalledForEverybody(), port, Unprivileged());
        ExpectAnswer(port, () => ExpectPage(server, owner: 65534));
        Assert.Equal(0, server.WaitForEnd().ExitCode);
        Assert.Empty(server.Error);
    }

    [Fact]
    public void NoPlaceForAPage_Program_RunsOnTheStackAndSaysSo()
    {
        string port = Port();
        Dictionary<string, string?> environment = InstalledForEverybody();

        // In a view of the files of its own, in which the directory may not be written to.
        string[] wrapper =
        [
            "unshare", "--mount", "--propagation", "private", "sh", "-c",
            "mkdir -p /run/pronghorn && mount -t tmpfs -o mode=0755 none /run/pronghorn && exec \"$@\"", "sh",
            .. Unprivileged(),
        ];
        using RunningProgram server = StartServer(environment, port, wrapper);
        ExpectAnswer(port);
        Assert.Equal(0, server.WaitForEnd().ExitCode);
        Assert.StartsWith(
            "pronghorn: this program shows in no statistics (/run/pronghorn: permission denied", server.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("kernel's path", server.Error, StringComparison.Ordinal);
        Assert.EndsWith(".\n", server.Error, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', server.Error.TrimEnd('\n'));
    }

    [Fact]
    public void ProgramThatReadsAndThenSleeps_ItsPage_ShowsThatNothingWaits()
    {
        const string Reader = """
            import socket, sys, select
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(('0.0.0.0', int(sys.argv[1])))
            s.listen()
            select.select([s], [], [], 0)  # The first wait puts the listener on the stack.
            print('ready', flush=True)
            c, _ = s.accept()
            select.select([c], [], [])
            select.select([sys.stdin, s], [], [])
            c.recv(100)
            s.accept()
            """;
        const string Writer = """
            import socket, sys
            c = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
            c.sendall(b'hello')
            print('sent', flush=True)
            sys.stdin.readline()
            socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
            """;
        string port = Port();
        using RunningProgram server = RunningProgram.Start(
            fixture.Hosts.Server, PreloadLibrary.Environment(), "/usr/bin/python3", "-c", Reader, port);
        server.WaitForOutput("ready");
        using RunningProgram client = RunningProgram.Start(
            fixture.Hosts.Client, null, "/usr/bin/python3", "-c", Writer, TwoHosts.ServerAddress, port);
        client.WaitForOutput("sent");
        WaitForQueue(server, 5);
        server.Process.StandardInput.WriteLine();
        server.Process.StandardInput.Flush();

        // Nobody asks: the program has to say it by itself before it sleeps.
        WaitForQueue(server, 0);
        client.Process.StandardInput.WriteLine();
        client.Process.StandardInput.Flush();
        Assert.Equal(0, server.WaitForEnd().ExitCode);
        Assert.Equal(0, client.WaitForEnd().ExitCode);
    }

    [Fact]
    public void LargeMtu_Program_RunsOnTheKernel()
    {
        foreach (NetworkNamespace side in (NetworkNamespace[])[fixture.Hosts.Client, fixture.Hosts.Server])
        {
            side.Run("ip", "link", "set", TwoHosts.Interface, "mtu", "9000");
        }

        try
        {
            ExpectFallback(PreloadLibrary.Environment(strict: false), []);
        }
        finally
        {
            foreach (NetworkNamespace side in (NetworkNamespace[])[fixture.Hosts.Client, fixture.Hosts.Server])
            {
                side.Run("ip", "link", "set", TwoHosts.Interface, "mtu", "1500");
            }
        }
    }

    [Fact]
    public void Disabled_Program_RunsOnTheKernelInSilence()
    {
        string port = Port();
        Dictionary<string, string?> environment = PreloadLibrary.Environment();
        environment["PRONGHORN_DISABLE"] = "1";
        environment["PRONGHORN_INTERFACE"] = "nosuch0";
        using RunningProgram server = StartServer(environment, port, []);
        ExpectAnswer(port);
        Assert.Equal(0, server.WaitForEnd().ExitCode);
        Assert.Empty(server.Error);
    }

    [Fact]
    public void KilledServer_ClientIsRefused_AndTheNextServerWorks()
    {
        string port = Port();
        int id;
        using (RunningProgram first = StartServer(PreloadLibrary.Environment(), port, []))
        {
            id = first.Process.Id;
            first.Process.Kill();
            first.Process.WaitForExit();
        }

        LabOutput refused = RunningProgram.Run(
            fixture.Hosts.Client, null, "/usr/bin/python3", "-c", Client, TwoHosts.ServerAddress, port);
        Assert.Contains("ConnectionRefusedError", refused.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("xdp", fixture.Hosts.Server.Run("ip", "link", "show", TwoHosts.Interface), StringComparison.Ordinal);

        // The next one works; what it finds of the first one's statistics is recognised by the dead process.
        using RunningProgram second = StartServer(PreloadLibrary.Environment(), port, []);
        ExpectAnswer(port);
        Assert.Equal(0, second.WaitForEnd().ExitCode);
        Assert.False(File.Exists($"/run/pronghorn/{second.Process.Id}.stat"));
        Assert.False(Directory.Exists($"/proc/{id}"));
    }

    [Fact]
    public void KilledServer_ConnectedClient_IsReset()
    {
        const string Holding = """
            import socket, sys
            c = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
            print('connected', flush=True)
            sys.stdin.readline()
            try:
                for _ in range(3):
                    c.sendall(b'x')
                    c.recv(1)
                print('alive')
            except (ConnectionResetError, BrokenPipeError):
                print('reset')
            """;
        string port = Port();
        using RunningProgram server = StartServer(PreloadLibrary.Environment(), port, []);
        using RunningProgram client = RunningProgram.Start(
            fixture.Hosts.Client, null, "/usr/bin/python3", "-c", Holding, TwoHosts.ServerAddress, port);
        client.WaitForOutput("connected");
        server.Process.Kill();
        server.Process.WaitForExit();
        client.Process.StandardInput.WriteLine();
        client.Process.StandardInput.Flush();
        client.WaitForEnd();
        Assert.EndsWith("reset", client.Output.Trim(), StringComparison.Ordinal);
    }

    private static bool IsWarning(string error) =>
        error.StartsWith("pronghorn: ", StringComparison.Ordinal)
        && error.Contains("; running on the kernel's path.", StringComparison.Ordinal)
        && !error.TrimEnd('\n').Contains('\n', StringComparison.Ordinal);

    private static string[] Unprivileged() =>
    [
        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=" + Capabilities,
        "--ambient-caps=" + Capabilities, "--bounding-set=-all," + Capabilities,
    ];

    private static string PageOf(RunningProgram program) =>
        Path.Combine(StatisticsPage.Directory, program.Process.Id.ToString(CultureInfo.InvariantCulture));

    /// <summary>A program has a page while it is on the stack, and only then.</summary>
    private static void ExpectPage(RunningProgram program, uint owner)
    {
        // Its name is there a moment before its content.
        StatisticsReader? reader = null;
        program.WaitUntil(() => StatisticsReader.Open(PageOf(program), out reader) == 0, "a statistics page");
        using (reader)
        {
            Assert.Equal(owner, reader!.Owner);
            Assert.True(reader.TryRead(out StatisticsHeader header, out _, out _));
            Assert.Equal(program.Process.Id, header.ProcessId);
        }
    }

    /// <summary>Bytes that wait in the one established connection, as the page says unasked; -1 while there is none.</summary>
    private static void WaitForQueue(RunningProgram program, int bytes)
    {
        try
        {
            program.WaitUntil(() => QueueOf(program) == bytes, $"a page with {bytes} bytes that wait");
        }
        catch (TimeoutException failure)
        {
            throw new TimeoutException($"{failure.Message}; {Describe(program)}", failure);
        }
    }

    /// <summary>What a page says, for the message of a test that waited for something else.</summary>
    private static string Describe(RunningProgram program)
    {
        int result = StatisticsReader.Open(PageOf(program), out StatisticsReader? reader);
        if (reader is null)
        {
            return $"its page cannot be read: {result}";
        }

        using (reader)
        {
            bool whole = reader.TryRead(out StatisticsHeader header, out StatisticsCounter[] counters, out StatisticsRow[] rows);
            IEnumerable<string> counts = counters.Where(static counter => counter.Value != 0)
                .Select(static counter => $"{StatisticsReader.NameOf(counter)}={counter.Value}");
            IEnumerable<string> states = rows.Select(static row => $"{(TcpState)row.State}:{row.ReceiveQueue}");
            return $"its page: whole {whole}, sequence {header.Sequence}, {string.Join(' ', states)}; {string.Join(' ', counts)}";
        }
    }

    private static int QueueOf(RunningProgram program)
    {
        if (StatisticsReader.Open(PageOf(program), out StatisticsReader? reader) != 0 || reader is null)
        {
            return -1;
        }

        using (reader)
        {
            const byte Established = (byte)TcpState.Established;
            reader.TryRead(out _, out _, out StatisticsRow[] rows);
            return rows.Where(row => row.State == Established).Select(row => row.ReceiveQueue).DefaultIfEmpty(-1).First();
        }
    }

    /// <summary>The library where everybody can read it, as an installed one is.</summary>
    private Dictionary<string, string?> InstalledForEverybody()
    {
        string directory = Directory.CreateDirectory(Path.Combine(fixture.Directory, "lib")).FullName;
        foreach (string name in (string[])["libpronghorn.so", "libpronghorn-core.so"])
        {
            File.Copy(Path.Combine(PreloadLibrary.Directory, name), Path.Combine(directory, name), overwrite: true);
        }

        const UnixFileMode Everybody = (UnixFileMode)0x1ed; // 0755
        File.SetUnixFileMode(fixture.Directory, Everybody);
        File.SetUnixFileMode(directory, Everybody);
        Dictionary<string, string?> environment = PreloadLibrary.Environment(strict: false);
        environment["LD_PRELOAD"] = Path.Combine(directory, "libpronghorn.so");
        return environment;
    }

    private void ExpectFallback(Dictionary<string, string?> environment, string[] wrapper)
    {
        string port = Port();
        using (RunningProgram server = StartServer(environment, port, wrapper))
        {
            ExpectAnswer(port);
            LabOutput output = server.WaitForEnd();
            Assert.True(output.ExitCode == 0, output.Error);
            Assert.True(IsWarning(output.Error), "expected one line of warning: " + output.Error);
        }

        environment["PRONGHORN_STRICT"] = "1";
        using RunningProgram strict = StartServer(environment, Port(), wrapper);
        LabOutput ended = strict.WaitForEnd();
        Assert.Equal(1, ended.ExitCode);
        Assert.StartsWith("pronghorn: ", ended.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("running on the kernel", ended.Error, StringComparison.Ordinal);
    }

    private RunningProgram StartServer(Dictionary<string, string?> environment, string port, string[] wrapper)
    {
        // The wrapper itself is not preloaded: env(1) sets the environment behind it.
        List<string> words = [.. wrapper, "env"];
        foreach (string name in environment.Keys.Where(name => environment[name] is null))
        {
            words.AddRange(["-u", name]);
        }

        words.AddRange(environment.Where(item => item.Value is not null).Select(item => $"{item.Key}={item.Value}"));

        // A program that the library ends before it is ready has said why.
        words.AddRange(["/usr/bin/python3", "-c", Server, port]);
        RunningProgram server = RunningProgram.Start(fixture.Hosts.Server, null, words[0], words[1..]);
        server.WaitForOutput("ready");
        return server;
    }

    /// <summary>The client connects, waits for a word while the test looks at the server, and then asks.</summary>
    private void ExpectAnswer(string port, Action? whileConnected = null)
    {
        using RunningProgram client = RunningProgram.Start(
            fixture.Hosts.Client, null, "/usr/bin/python3", "-c", Client, TwoHosts.ServerAddress, port);
        if (whileConnected is not null)
        {
            client.WaitForOutput("connected");
            whileConnected();
        }

        client.Process.StandardInput.Close();
        LabOutput answer = client.WaitForEnd();
        Assert.True(answer.Output == "connected\nHELLO\n", answer.Output + answer.Error);
    }

    private string Port() => fixture.TakePorts().ToString(CultureInfo.InvariantCulture);
}
