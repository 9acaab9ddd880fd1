// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.LoadBalancer.Daemon;

namespace Pronghorn.Cli.Services;

/// <summary>Starts a daemon in the background, and waits for daemons.</summary>
internal static class DaemonProcess
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    /// <summary>Starts this program again, in a session of its own, with what it says in the log file.</summary>
    internal static Process Start(IEnumerable<string> arguments, RuntimePaths paths)
    {
        paths.Create();

        // Appended to: a second daemon, which ends at once, must not write over the first one's lines.
        File.Delete(paths.LogFile);
        var start = new ProcessStartInfo("/bin/sh");
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add("exec setsid -- \"$@\" >>\"$0\" 2>&1 </dev/null");
        start.ArgumentList.Add(paths.LogFile);
        start.ArgumentList.Add(Environment.ProcessPath!);
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
        {
            start.ArgumentList.Add(Environment.GetCommandLineArgs()[0]);
        }

        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        return Process.Start(start)!;
    }

    /// <summary>Waits until a daemon has made the maps right.</summary>
    /// <exception cref="CommandException">It ended, or did not get there in time.</exception>
    internal static async Task<DaemonStatus> WaitUntilSynchronizedAsync(
        Process process, RuntimePaths paths, TimeSpan time, CancellationToken cancellation)
    {
        using var client = new ControlClient(paths);
        long began = Stopwatch.GetTimestamp();
        using var timer = new PeriodicTimer(s_interval);
        while (await timer.WaitForNextTickAsync(cancellation))
        {
            if (process.HasExited)
            {
                string said = File.ReadAllText(paths.LogFile).Trim();
                if (paths.FindHolder() is null)
                {
                    paths.Remove();
                }

                throw new CommandException($"the daemon ended at once. It said:\n{said}");
            }

            DaemonStatus? status = await ReadStatusAsync(client, cancellation);
            if (status is { Synchronized: true } && status.ProcessId == process.Id)
            {
                return status;
            }

            // Until it holds its lock nobody could tell that it runs, and disable would not find it.
            if (Stopwatch.GetElapsedTime(began) > time && paths.FindHolder() is not null)
            {
                throw new CommandException(
                    $"the daemon runs (process {process.Id}), but has not heard of all services within {time.TotalSeconds} s; "
                        + $"see {paths.LogFile}");
            }
        }

        throw new OperationCanceledException(cancellation);
    }

    /// <summary>A daemon's status; null when none runs.</summary>
    internal static async Task<DaemonStatus?> ReadStatusAsync(ControlClient client, CancellationToken cancellation)
    {
        string? json = await client.GetAsync("status", cancellation);
        return json is null ? null : JsonSerializer.Deserialize(json, ControlJson.Default.DaemonStatus);
    }

    /// <summary>Stops a daemon, if one runs, and waits until it has ended; also one that is only starting.</summary>
    /// <returns>Whether one ran.</returns>
    /// <exception cref="CommandException">It neither answers nor ends.</exception>
    internal static async Task<bool> StopAsync(RuntimePaths paths, CancellationToken cancellation)
    {
        using var client = new ControlClient(paths);
        using var timer = new PeriodicTimer(s_interval);
        long began = Stopwatch.GetTimestamp();
        bool isAsked = false;
        bool ran = false;
        while (paths.FindHolder() is { } holder)
        {
            ran = true;
            if (!isAsked && await ReadStatusAsync(client, cancellation) is not null)
            {
                await client.StopAsync(cancellation);
                isAsked = true;
            }

            if (Stopwatch.GetElapsedTime(began) > s_patience)
            {
                throw new CommandException(
                    $"the daemon (process {holder}) has not ended within {s_patience.TotalSeconds} s; look into {paths.LogFile}, end it "
                    + $"with kill -9 {holder}, and call disable again: what it attached is found by its pins");
            }

            await timer.WaitForNextTickAsync(cancellation);
        }

        return ran;
    }
}
