// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.CommandLine;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Cli.Hosting;
using Pronghorn.Handoff.Daemon;
using Pronghorn.Lab;
using Pronghorn.Lab.Cdn.Network;
using Pronghorn.Lab.Cdn.Servers;

namespace Pronghorn.Cli.Commands;

/// <summary><c>pronghorn lab cdn</c>: a point of presence in namespaces, and the servers in it.</summary>
internal static class CdnCommand
{
    private const string Name = "pronghorn-cdn";
    private const int MostEdges = 16;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    internal static Command Create()
    {
        Command command = new("cdn", "A client, the service balancer, edge servers with connection handoff and an origin, in namespaces.")
        {
            CreateUp(),
            new Command("down", "Remove all of it."),
            new Command("status", "What the edges have done."),
            CdnServerCommands.CreateLas(),
            CdnServerCommands.CreateLds(),
            CdnServerCommands.CreateOrigin(),
            CdnServerCommands.CreateLoad(),
        };
        command.Subcommands.Single(static one => one.Name == "down").SetAction(_ => Down());
        command.Subcommands.Single(static one => one.Name == "status").SetAction(_ => Guard(StatusAsync));
        return command;
    }

    /// <summary>The words that start this program again.</summary>
    internal static IReadOnlyList<string> ProgramLine() =>
        Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet"
            ? [Environment.ProcessPath!, Environment.GetCommandLineArgs()[0]]
            : [Environment.ProcessPath!];

    /// <summary>Turns what can go wrong outside into an error message.</summary>
    internal static int Guard(Func<Task<int>> action)
    {
        try
        {
            return action().GetAwaiter().GetResult();
        }
        catch (Exception failure) when (failure is LabException or IOException or UnauthorizedAccessException)
        {
            throw new CommandException(failure.Message);
        }
    }

    /// <summary>
    /// The same for what a signal may interrupt. Namespaces are removed by a handler of their own, which may come first: servers that
    /// end by it are no failure.
    /// </summary>
    internal static int Guard(Func<CancellationToken, Task<int>> action) => Guard(async () =>
    {
        using var interruption = new Interruption();
        try
        {
            return await action(interruption.Token);
        }
        catch (Exception failure) when ((failure is LabException or IOException)
            && interruption.Token.WaitHandle.WaitOne(s_patience))
        {
            throw new OperationCanceledException(failure.Message, failure, interruption.Token);
        }
    });

    private static Command CreateUp()
    {
        Option<int> edges = new("--edges") { Description = "Edge servers, 1 to 16.", DefaultValueFactory = _ => 3 };
        Option<int> workers = new("--workers") { Description = "Workers of each server.", DefaultValueFactory = _ => 1 };
        Option<string?> media = CdnServerCommands.MediaOption();
        Option<double> roam = CdnServerCommands.RoamOption();
        Command command = new("up", "Make it; it stays until down.") { edges, workers, media, roam };
        command.SetAction(result => Guard(token => UpAsync(
            new CdnLabOptions
            {
                Program = ProgramLine(),
                Edges = result.GetValue(edges),
                Workers = result.GetValue(workers),
                Media = result.GetValue(media),
                Roam = TimeSpan.FromSeconds(result.GetValue(roam)),
                Name = Name,
            },
            token)));
        return command;
    }

    private static async Task<int> UpAsync(CdnLabOptions options, CancellationToken cancellation)
    {
        if (options.Edges is < 1 or > MostEdges || options.Workers is < 1 or > 64)
        {
            throw new CommandException($"--edges is 1 to {MostEdges}, --workers 1 to 64", ExitStatus.Usage);
        }

        RequireRoot();
        if (Directory.Exists(CdnLab.FolderOf(Name)))
        {
            throw new CommandException("lab cdn is up already; pronghorn lab cdn down removes it");
        }

        CdnLab lab = await CdnLab.CreateAsync(options, cancellation);
        Terminal.Result($"client    ip netns exec {lab.Client.Name} curl http://{CdnLab.ServiceAddress}:PORT/file/NAME/BYTES");
        foreach (LasWay way in options.Ways)
        {
            Terminal.Result($"  port {CdnLab.PortOf(way)}: {way.ToString().ToLowerInvariant()}");
        }

        Terminal.Result($"edges     {string.Join(", ", lab.Edges.Select(static edge => $"{edge.Name} {edge.Address}"))}");
        Terminal.Result($"files     {lab.Folder}: pop_struct.conf, tcpm.conf and log of each edge");
        return ExitStatus.Done;
    }

    private static int Down()
    {
        RequireRoot();
        if (!Directory.Exists(CdnLab.FolderOf(Name)))
        {
            throw new CommandException("lab cdn is not up");
        }

        return Guard(() =>
        {
            CdnLab.Remove(Name, ProgramLine());
            return Task.FromResult(ExitStatus.Done);
        });
    }

    private static async Task<int> StatusAsync()
    {
        string folder = CdnLab.FolderOf(Name);
        if (!Directory.Exists(folder))
        {
            throw new CommandException("lab cdn is not up; pronghorn lab cdn up makes it");
        }

        string[] edges = [.. Directory.GetDirectories(folder, "edge-*").Order()];
        if (edges.Length == 0)
        {
            throw new CommandException("lab cdn was not made to its end; pronghorn lab cdn down removes it");
        }

        bool isWhole = true;
        foreach (string edge in edges)
        {
            try
            {
                HandoffStatus status = await HandoffStatus.AskAsync(Path.Combine(edge, "tcpm"), s_patience, CancellationToken.None);
                Terminal.Result(
                    $"{Path.GetFileName(edge)}: given away {status.Given}, taken and open {status.TakenNow}, "
                    + $"refused {status.Refused.Values.Sum()}, "
                    + $"peers {status.Peers.Count(static peer => peer.IsConnected)} of {status.Peers.Count}");
            }
            catch (IOException failure)
            {
                isWhole = false;
                Terminal.Result($"{Path.GetFileName(edge)}: {failure.Message}");
            }
        }

        return isWhole ? ExitStatus.Done : ExitStatus.Failed;
    }

    private static void RequireRoot()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            throw new CommandException("lab cdn needs root: it works with network namespaces");
        }
    }
}
