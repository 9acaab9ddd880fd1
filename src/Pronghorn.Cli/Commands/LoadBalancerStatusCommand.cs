// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using System.Linq;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Cli.Services;
using Pronghorn.LoadBalancer.Daemon;
using Spectre.Console;

namespace Pronghorn.Cli.Commands;

/// <summary><c>pronghorn lb status</c> and <c>list</c>.</summary>
internal static class LoadBalancerStatusCommand
{
    internal static Command Create()
    {
        Option<bool> json = new("--json") { Description = "Print one JSON document and nothing else." };
        Command command = new("status", "Say what is attached, what is served and what is wrong.") { DaemonCommandOptions.Instance, json };
        command.SetAction(result => LoadBalancerEnableCommand.Guard(async () =>
        {
            string document = await AskAsync(result.GetValue(DaemonCommandOptions.Instance)!, "status");
            if (result.GetValue(json))
            {
                Terminal.Result(document);
            }
            else
            {
                Show(JsonSerializer.Deserialize(document, ControlJson.Default.DaemonStatus)!);
            }

            return ExitStatus.Done;
        }));
        return command;
    }

    internal static Command CreateList()
    {
        Option<bool> json = new("--json") { Description = "Print one JSON document and nothing else." };
        Command command = new("list", "List services with their backends and counters.") { DaemonCommandOptions.Instance, json };
        command.SetAction(result => LoadBalancerEnableCommand.Guard(async () =>
        {
            string document = await AskAsync(result.GetValue(DaemonCommandOptions.Instance)!, "list");
            if (result.GetValue(json))
            {
                Terminal.Result(document);
            }
            else
            {
                Show(JsonSerializer.Deserialize(document, ControlJson.Default.ListedPortArray)!);
            }

            return ExitStatus.Done;
        }));
        return command;
    }

    private static async Task<string> AskAsync(string instance, string document)
    {
        var paths = new RuntimePaths(instance);
        using var client = new ControlClient(paths);
        return await client.GetAsync(document, CancellationToken.None)
            ?? throw new CommandException(paths.FindHolder() is { } holder
                ? $"the daemon of the instance '{instance}' (process {holder}) is starting or ending, and does not answer yet"
                : $"no daemon of the instance '{instance}' is running; start one with: pronghorn lb enable");
    }

    private static void Show(DaemonStatus status)
    {
        Terminal.Result($"instance     {status.Instance}, process {status.ProcessId}, since {status.Started:u}");
        Terminal.Result($"source       {status.Source}{(status.Synchronized ? "" : " (not heard of everything yet)")}");
        string zone = status.Zone.Length > 0 ? $" in {status.Zone}" : "";
        Terminal.Result($"node         {status.Node}{zone}: {string.Join(", ", status.Addresses)}");
        Terminal.Result($"pods         {(status.PodRanges.Length > 0 ? string.Join(", ", status.PodRanges) : "no range is known")}");
        Terminal.Result($"services     {status.Services}, {status.ServicePorts} ports");
        Terminal.Result($"written      {status.Batches} changes, {status.Writes} entries of maps");
        Terminal.Result($"attached     {string.Join(", ", status.Attachments.Select(one => one.Place))}");
        if (status.HealthCheckPorts.Length > 0)
        {
            Terminal.Result($"health       ports {string.Join(", ", status.HealthCheckPorts)}");
        }

        var maps = new Table().Border(TableBorder.None).AddColumns("map", "used", "of", "setting");
        foreach (MapStatus map in status.Maps)
        {
            maps.AddRow(map.Name, $"{map.Used}", $"{map.Capacity}", map.Setting);
        }

        Terminal.Result(maps);
        foreach (string problem in status.Problems)
        {
            Terminal.Result($"problem      {problem}");
        }
    }

    private static void Show(ListedPort[] ports)
    {
        var table = new Table().Border(TableBorder.None)
            .AddColumns("service", "port", "frontends", "backends", "connections", "refused", "dropped", "packets");
        foreach (ListedPort port in ports)
        {
            table.AddRow(
                Markup.Escape(port.Service),
                Markup.Escape($"{port.Port}/{port.Protocol}"),
                Markup.Escape(string.Join('\n', port.Frontends.Select(one => $"{one.Kind} {one.Address}"))),
                Markup.Escape(string.Join('\n', port.Backends.Select(one => one.Address + (one.IsLocal ? " local" : "")))),
                $"{port.Connections}",
                $"{port.Rejected}",
                $"{port.Dropped}",
                $"{port.Packets}");
        }

        Terminal.Result(table);
        foreach (string problem in ports.SelectMany(port => port.Problems).Distinct())
        {
            Terminal.Result($"problem  {problem}");
        }
    }
}
