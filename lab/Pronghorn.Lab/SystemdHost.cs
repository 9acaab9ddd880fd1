// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Threading;

namespace Pronghorn.Lab;

/// <summary>
/// systemd as it is installed, as the first process of namespaces of its own, so that units run as they would on a host: with their
/// sandboxes, watchdogs and control groups. It starts nothing by itself, sees the host's files read-only, and has an empty /run and /tmp,
/// a network with an interface, and a BPF file system of its own. It ends when disposed, or with this process.
/// </summary>
public sealed class SystemdHost : IDisposable
{
    /// <summary>The interface that it has beside the loopback's; a veth pair's end.</summary>
    public const string Interface = "lab0";

    /// <summary>Where the folder is seen that was given.</summary>
    public const string Shared = "/run/shared";

    // The shell outside waits for the end of its input, also when the one that holds it is killed, and removes what is left then.
    private const string Outside = """
        for groups in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
            [ -e $groups/cgroup.procs ] || continue
            mkdir -p $groups/$1 && echo $$ > $groups/$1/cgroup.procs
        done
        unshare --pid --fork --kill-child --mount --uts --ipc --net --cgroup bash -ec "$3" inside "$2" < /dev/null &
        echo $!
        cat > /dev/null
        kill -KILL $!
        wait
        for groups in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
            [ -e $groups/$1 ] || continue
            echo $$ > $groups/cgroup.procs

            # Processes of a namespace that has lost its first one are still ending.
            for try in $(seq 100); do
                find $groups/$1 -depth -type d -exec rmdir {} \; 2> /dev/null
                [ -e $groups/$1 ] || break
                sleep 0.05
            done
        done
        """;

    private const string Inside = """
        mount --make-rprivate /
        mount -t tmpfs run /run
        mkdir -p /run/shared /run/lock /run/systemd/system
        mount --bind "$1" /run/shared
        for folder in / /run/shared; do mount -o remount,bind,ro $folder; done
        for folder in /tmp /var/tmp; do mount -t tmpfs tmp $folder; done
        mount -t proc proc /proc
        if [ -e /sys/fs/cgroup/cgroup.procs ]; then
            umount -l /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup
        else
            umount -l /sys/fs/cgroup && mount -t tmpfs groups /sys/fs/cgroup
            mkdir /sys/fs/cgroup/systemd /sys/fs/cgroup/unified
            mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
            mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
        fi
        umount -l /sys/fs/bpf 2> /dev/null || true
        mount -t bpf bpf /sys/fs/bpf
        ip link add lab0 type veth peer name lab1
        for link in lo lab0 lab1; do ip link set $link up; done
        printf '[Unit]\nDefaultDependencies=no\n' > /run/systemd/system/lab.target
        exec env -i PATH="$PATH" container=pronghorn-lab /lib/systemd/systemd --system --unit=lab.target --show-status=0 --log-target=null
        """;

    private static readonly TimeSpan s_start = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(10);

    private readonly Process _shell;
    private readonly string _first;

    /// <summary>Starts one, and waits until it takes commands.</summary>
    /// <param name="name">Of its control group.</param>
    /// <param name="folder">A folder that it sees at <see cref="Shared"/>, as it is.</param>
    /// <exception cref="LabException">It does not start.</exception>
    public SystemdHost(string name, string folder)
    {
        _shell = LabCommand.Start(LabCommand.CreateStartInfo("bash", ["-c", Outside, "outside", name, folder, Inside]));
        try
        {
            _first = WaitUntilUp(_shell.StandardOutput.ReadLine() ?? "");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Runs a command inside and throws when it fails; returns its output.</summary>
    public string Run(string file, params IReadOnlyList<string> arguments) => LabCommand.Run("nsenter", Enter(file, arguments));

    /// <summary>Runs a command inside and returns how it ended.</summary>
    public LabOutput TryRun(string file, params IReadOnlyList<string> arguments) => LabCommand.TryRun("nsenter", Enter(file, arguments));

    /// <summary>Writes a file below its /run.</summary>
    /// <param name="path">The path, from /run/ on; folders are made.</param>
    /// <param name="text">The file's text.</param>
    public void Write(string path, string text)
    {
        string file = Path.Combine("/proc", _first, "root", "run", path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }

    /// <summary>
    /// Adds a unit. It is started without what a host starts before it (sysinit.target), as there is nothing of the kind.
    /// </summary>
    /// <param name="name">Its name.</param>
    /// <param name="text">Its text.</param>
    /// <param name="more">Lines for its service section; what it says goes to /run/NAME.log.</param>
    public void AddService(string name, string text, string more = "")
    {
        Write($"systemd/system/{name}", text);
        Write($"systemd/system/{name}.d/lab.conf", $"""
            [Unit]
            DefaultDependencies=no
            [Service]
            StandardOutput=append:/run/{name}.log
            StandardError=append:/run/{name}.log
            {more}
            """);
        Run("systemctl", "daemon-reload");
    }

    /// <summary>Starts a service and waits until systemd says that it has started.</summary>
    /// <exception cref="LabException">It has not; the message has what it said.</exception>
    public void Start(string service)
    {
        LabOutput output = TryRun("systemctl", "start", service);
        if (output.ExitCode != 0)
        {
            throw new LabException($"{output.Error.Trim()} {TryRun("cat", $"/run/{service}.log").Output}");
        }
    }

    /// <summary>A property of a unit, as systemctl(1) shows it.</summary>
    public string Read(string unit, string property) => Run("systemctl", "show", "--property", property, "--value", unit).Trim();

    /// <inheritdoc/>
    public void Dispose()
    {
        _shell.StandardInput.Close();
        _shell.WaitForExit();
        _shell.Dispose();
    }

    private string WaitUntilUp(string unshare)
    {
        long began = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(began) < s_start)
        {
            string children = Path.Combine("/proc", unshare, "task", unshare, "children");
            string first = File.Exists(children) ? File.ReadAllText(children).Trim() : "";
            if (int.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out _)
                && File.Exists(Path.Combine("/proc", first, "root", "run", "systemd", "private")))
            {
                return first;
            }

            Thread.Sleep(s_pause);
        }

        _shell.StandardInput.Close();
        throw new LabException("systemd does not start in namespaces of its own: " + _shell.StandardError.ReadToEnd().Trim());
    }

    private List<string> Enter(string file, IReadOnlyList<string> arguments) =>
        ["--target", _first, "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", file, .. arguments];
}
