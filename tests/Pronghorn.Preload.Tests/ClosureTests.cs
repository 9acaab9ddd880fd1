// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Preload.Tests;

/// <summary>No call of a program by which it could touch a socket goes past the preloaded library unseen.</summary>
public sealed partial class ClosureTests
{
    private const string Stdio = "stdio over a socket is glibc's own affair (docs/limits.md)";
    private const string NotASocket = "makes or takes descriptors that are never sockets of ours";
    private const string Name = "takes a path or makes a new descriptor; no socket";
    private const string Refused = "fails on any socket (ESPIPE, EINVAL, ENOTTY), and so on the one below ours";
    private const string Status = "about the descriptor as a file: the socket below answers truthfully";
    private const string Lookup = "works through libc's own sockets, which are the kernel's";

    /// <summary>Calls that touch descriptors and need not be interposed, each with its reason.</summary>
    private static readonly Dictionary<string, string> s_harmless = new(StringComparer.Ordinal)
    {
        ["open"] = Name, ["open64"] = Name, ["openat"] = Name, ["openat64"] = Name, ["__open_2"] = Name,
        ["__open64_2"] = Name, ["__openat_2"] = Name, ["__openat64_2"] = Name, ["opendir"] = Name, ["fdopendir"] = Refused,
        ["closedir"] = Name, ["dirfd"] = Name, ["memfd_create"] = Name, ["shm_open"] = Name, ["posix_openpt"] = Name,
        ["openpty"] = Name, ["forkpty"] = "forks; the fork handlers see it", ["login_tty"] = NotASocket,
        ["pipe"] = NotASocket, ["pipe2"] = NotASocket, ["eventfd"] = NotASocket, ["eventfd_read"] = NotASocket,
        ["eventfd_write"] = NotASocket, ["timerfd_create"] = NotASocket, ["timerfd_settime"] = NotASocket,
        ["signalfd"] = NotASocket, ["inotify_init1"] = NotASocket, ["inotify_add_watch"] = NotASocket,
        ["inotify_rm_watch"] = NotASocket, ["pidfd_open"] = NotASocket, ["socketpair"] = "Unix sockets only: the kernel's",
        ["bind"] = "done by the kernel for every socket; the core reads the address from there",
        ["sockatmark"] = "its ioctl is answered by the kernel's socket: never at a mark",
        ["isfdtype"] = Status, ["fstat"] = Status, ["fstat64"] = Status, ["__fxstat"] = Status, ["__fxstat64"] = Status,
        ["fstatat"] = Status, ["fstatat64"] = Status, ["fstatfs"] = Status, ["fstatfs64"] = Status, ["fstatvfs"] = Status,
        ["fstatvfs64"] = Status, ["fchmod"] = Status, ["fchown"] = Status, ["fchdir"] = Refused, ["isatty"] = Refused,
        ["ttyname_r"] = Refused, ["flock"] = Status, ["lockf"] = Refused, ["lockf64"] = Refused, ["fsync"] = Refused,
        ["fdatasync"] = Refused, ["sync_file_range"] = Refused, ["ftruncate"] = Refused, ["ftruncate64"] = Refused,
        ["fallocate"] = Refused, ["fallocate64"] = Refused, ["posix_fallocate"] = Refused, ["posix_fallocate64"] = Refused,
        ["posix_fadvise"] = Refused, ["posix_fadvise64"] = Refused, ["readahead"] = Refused, ["lseek"] = Refused,
        ["lseek64"] = Refused, ["pread"] = Refused, ["pread64"] = Refused, ["__pread_chk"] = Refused,
        ["__pread64_chk"] = Refused, ["preadv"] = Refused, ["preadv64"] = Refused, ["preadv2"] = Refused,
        ["preadv64v2"] = Refused, ["pwrite"] = Refused, ["pwrite64"] = Refused, ["pwritev"] = Refused,
        ["pwritev64"] = Refused, ["pwritev2"] = Refused, ["pwritev64v2"] = Refused, ["copy_file_range"] = Refused,
        ["mmap"] = Refused, ["mmap64"] = Refused, ["tcgetattr"] = Refused, ["tcsetattr"] = Refused, ["tcdrain"] = Refused,
        ["tcflow"] = Refused, ["tcflush"] = Refused, ["tcgetpgrp"] = Refused, ["tcsetpgrp"] = Refused,
        ["tcsendbreak"] = Refused, ["futimens"] = Status, ["futimes"] = Status, ["fpathconf"] = Status,
        ["fgetxattr"] = Status, ["fsetxattr"] = Status, ["flistxattr"] = Status, ["fremovexattr"] = Status,
        ["fexecve"] = Refused, ["vmsplice"] = NotASocket, ["tee"] = NotASocket, ["io_setup"] = "disk I/O",
        ["fdopen"] = Stdio, ["dprintf"] = Stdio, ["vdprintf"] = Stdio, ["__dprintf_chk"] = Stdio, ["__vdprintf_chk"] = Stdio,
        ["fopen"] = Name, ["fopen64"] = Name, ["freopen"] = Name, ["freopen64"] = Name, ["fileno"] = Status,
        ["__fdelt_chk"] = "checks a number", ["__fdelt_warn"] = "checks a number",
        ["getaddrinfo"] = Lookup, ["getnameinfo"] = Lookup, ["res_query"] = Lookup, ["syslog"] = Lookup,
        ["fork"] = "pthread_atfork handlers see it", ["_Fork"] = "async-signal code only",
        ["vfork"] = "its child is recognised by its process id", ["posix_spawn"] = "like vfork, inside libc",
        ["posix_spawnp"] = "like vfork, inside libc", ["system"] = "like vfork, inside libc",
        ["popen"] = "like vfork, inside libc", ["pclose"] = "a pipe",
        ["syscall"] = "a program's own system calls cannot be seen (docs/limits.md)",
    };

    public static TheoryData<string> Programs =>
    [
        "redis-server", "redis-cli", "redis-benchmark", "memcached", "curl", "libcurl.so.4", "libcurl-gnutls.so.4",
        "wrk", "python3", "_socket", "nginx", "libevent", "libssl",
    ];

    [Theory]
    [MemberData(nameof(Programs))]
    public void Program_EveryImportThatTouchesDescriptors_IsInterposedOrHarmless(string program)
    {
        HashSet<string> interposed = Table();
        List<string> unseen = [];
        int checkedImports = 0;
        foreach (string file in Locate(program))
        {
            foreach (string import in Symbols(file, "--undefined-only"))
            {
                if (TouchesDescriptors().IsMatch(import))
                {
                    checkedImports++;
                    if (!interposed.Contains(import) && !s_harmless.ContainsKey(import))
                    {
                        unseen.Add($"{file}: {import}");
                    }
                }
            }
        }

        Assert.True(unseen.Count == 0, string.Join("; ", unseen));
        Assert.True(checkedImports > 0 || Locate(program).Count == 0, "nothing was checked");
    }

    [Fact]
    public void Library_Exports_AreExactlyItsTable()
    {
        var exported = Symbols(PreloadLibrary.Path, "--defined-only")
            .Where(name => !name.StartsWith("pronghorn_", StringComparison.Ordinal)).ToHashSet(StringComparer.Ordinal);
        HashSet<string> table = Table();
        Assert.Empty(exported.Except(table));
        Assert.Empty(table.Except(exported));
    }

    [Fact]
    public void Harmless_AndTheTable_HaveNothingInCommon()
    {
        Assert.Empty(Table().Intersect(s_harmless.Keys));
    }

    [GeneratedRegex(@"^(TRAMPOLINE|TRAMPOLINE_ALL|SPECIAL)\([^,]+,\s*(\w+)", RegexOptions.Multiline)]
    private static partial Regex TableLine();

    // By what they are called: whoever adds a family to libc will keep to its naming.
    [GeneratedRegex(@"^_*(p?read(v|64|ahead|_chk|$)|pread|p?write(v|64|$)|pwrite|recv|send|splice|vmsplice|tee$"
        + @"|accept|bind$|connect|listen$|shutdown$|socket|sockat|getsock|setsock|getpeer|dup|close(_range|from|dir|$)"
        + @"|fcntl|ioctl|p?poll|p?select$|epoll|fd(open|elt|at)"
        + @"|isfdtype|isatty|copy_file_range|_?[fF]ork|vfork|posix_spawnp?$|posix_f|syscall$|io_|fstat|fxstat|lseek"
        + @"|ftruncate|fsync|mmap|inotify|eventfd|timerfd|signalfd|pidfd|pipe|open(at|dir|pty|64|$)|f?dprintf|vdprintf|fileno"
        + @"|flock$|lockf|fch(mod|own|dir)$|tc[gsdf]"
        + @"|getaddrinfo|getnameinfo|popen|system$)")]
    private static partial Regex TouchesDescriptors();

    private static HashSet<string> Table() =>
        TableLine().Matches(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "interposers.def")))
            .Select(match => match.Groups[2].Value).ToHashSet(StringComparer.Ordinal);

    private static IEnumerable<string> Symbols(string file, string which)
    {
        foreach (string line in LabCommand.Run("nm", "-D", which, file).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            bool fromLibc = which == "--defined-only" || words[^1].Contains("@GLIBC", StringComparison.Ordinal)
                || !words[^1].Contains('@', StringComparison.Ordinal);
            if (words.Length >= 2 && words[^2] is "U" or "T" or "W" or "w" or "i" && fromLibc)
            {
                yield return words[^1].Split('@')[0];
            }
        }
    }

    // Programs are required (eng/install.sh has them); libraries are looked at where they are.
    private static List<string> Locate(string program) => program switch
    {
        "_socket" => Find("/usr/lib", "_socket.cpython*.so"),
        "python3" => ["/usr/bin/python3"],
        "libevent" => Find("/usr/lib", "libevent-2*.so.?"),
        "libssl" => Find("/usr/lib", "libssl.so.3"),
        _ when program.StartsWith("lib", StringComparison.Ordinal) => Find("/usr/lib", program),
        "nginx" => ["/usr/sbin/nginx"],
        _ => ["/usr/bin/" + program],
    };

    // find(1) does not follow symbolic links round and round.
    private static List<string> Find(string directory, string pattern) =>
        [.. LabCommand.Run("find", directory, "-name", pattern).Split('\n', StringSplitOptions.RemoveEmptyEntries).Take(1)];
}
