// SPDX-License-Identifier: Apache-2.0
using System;
using System.CommandLine;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Cli.Hosting;
using Pronghorn.Cli.Services;
using Pronghorn.Linux.Bpf;
using Pronghorn.LoadBalancer.Daemon;
using Pronghorn.LoadBalancer.Sources.KubernetesApi;

namespace Pronghorn.Cli.Commands;

/// <summary><c>pronghorn lb enable</c> and <c>disable</c>.</summary>
internal static class LoadBalancerEnableCommand
{
    internal static Command Create()
    {
        var options = new DaemonCommandOptions();
        Option<bool> foreground = new("--foreground") { Description = "Stay in the foreground, as under systemd or in a container." };
        Option<int> wait = new("--wait")
        {
            Description = "Seconds to wait until all services are served.",
            DefaultValueFactory = _ => 60,
        };
        Option<bool> json = new("--json") { Description = "Print one JSON document and nothing else." };
        Command command = new("enable", "Serve the cluster's services on this node, in place of kube-proxy.") { foreground, wait, json };
        options.AddTo(command);
        wait.Validators.Add(static given =>
        {
            if (given.GetValueOrDefault<int>() < 0)
            {
                given.AddError("--wait: seconds cannot be negative");
            }
        });
        command.SetAction(result => Guard(() =>
        {
            DaemonOptions daemon = options.Read(result);
            if (result.GetValue(foreground))
            {
                return RunAsync(daemon);
            }

            string[] arguments = [.. result.Tokens.Select(token => token.Value), "--foreground"];
            return StartAsync(daemon, arguments, TimeSpan.FromSeconds(result.GetValue(wait)), result.GetValue(json));
        }));
        return command;
    }

    internal static Command CreateDisable()
    {
        Option<bool> json = new("--json") { Description = "Print one JSON document and nothing else." };
        Command command = new("disable", "Stop serving services, and leave no trace.") { DaemonCommandOptions.Instance, json };
        command.SetAction(result => Guard(async () =>
        {
            string instance = result.GetValue(DaemonCommandOptions.Instance)!;
            bool ran = await DaemonProcess.StopAsync(new RuntimePaths(instance), CancellationToken.None);
            LoadBalancerDaemon.Remove(instance);
            Terminal.Result(result.GetValue(json)
                ? $"{{\"instance\": \"{instance}\", \"daemon_stopped\": {(ran ? "true" : "false")}}}"
                : ran ? "disabled" : "no daemon was running; whatever one had left is removed");
            return ExitStatus.Done;
        }));
        return command;
    }

    /// <summary>Turns what can go wrong outside into an error message.</summary>
    internal static int Guard(Func<Task<int>> action)
    {
        try
        {
            return action().GetAwaiter().GetResult();
        }
        catch (Exception failure) when (failure is BpfException or IOException or UnauthorizedAccessException or ApiAccessException)
        {
            throw new CommandException(failure.Message);
        }
        catch (ArgumentException mistake)
        {
            throw new CommandException(mistake.Message, ExitStatus.Usage);
        }
    }

    private static async Task<int> RunAsync(DaemonOptions options)
    {
        using var interruption = new Interruption();
        using var daemon = new LoadBalancerDaemon(options, new NotedProblemLog());
        await daemon.RunAsync(interruption.Token);
        return ExitStatus.Done;
    }

    private static async Task<int> StartAsync(DaemonOptions options, string[] arguments, TimeSpan wait, bool json)
    {
        var paths = new RuntimePaths(options.Instance);
        using (var client = new ControlClient(paths))
        {
            if (await DaemonProcess.ReadStatusAsync(client, CancellationToken.None) is { } running)
            {
                throw new CommandException(
                    $"it is enabled already: process {running.ProcessId} serves the instance '{running.Instance}' from {running.Source}");
            }

            if (paths.FindHolder() is { } holder)
            {
                throw new CommandException(
                    $"a daemon of the instance '{options.Instance}' is starting or ending: process {holder} holds {paths.LockFile}");
            }
        }

        using Process process = DaemonProcess.Start(arguments, paths);
        DaemonStatus status = await DaemonProcess.WaitUntilSynchronizedAsync(process, paths, wait, CancellationToken.None);
        if (json)
        {
            Terminal.Result(JsonSerializer.Serialize(status, ControlJson.Default.DaemonStatus));
            return ExitStatus.Done;
        }

        Terminal.Result($"enabled: {status.Services} services from {status.Source} (process {status.ProcessId}, log {paths.LogFile})");
        foreach (string problem in status.Problems)
        {
            Terminal.Note(problem);
        }

        return ExitStatus.Done;
    }
}
