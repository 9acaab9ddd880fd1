// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Cli.Hosting;
using Pronghorn.Handoff.Configuration;
using Pronghorn.Handoff.Daemon;
using Pronghorn.Handoff.Moves;
using Pronghorn.Linux.Bpf;
using Spectre.Console;

namespace Pronghorn.Cli.Commands;

/// <summary><c>pronghorn handoff</c>: connections move to other nodes.</summary>
internal static class HandoffCommand
{
    private const string DefaultConfiguration = "/etc/tcpm/tcpm.conf";

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    internal static Command Create() => new("handoff", "Established TCP connections move to the node that has their content.")
    {
        CreateServe(),
        CreateStatus(),
    };

    private static Option<string> ConfigurationOption() => new("--config")
    {
        Description = "Configuration: lines of key = value.",
        DefaultValueFactory = _ => DefaultConfiguration,
    };

    private static Command CreateServe()
    {
        Option<string> configuration = ConfigurationOption();
        Option<string> instance = new("--instance")
        {
            Description = "Name of the daemon, where a machine has several, in network namespaces.",
            DefaultValueFactory = _ => "default",
        };
        instance.Validators.Add(static given =>
        {
            string name = given.GetValueOrDefault<string>();
            if (name.Length is 0 or > 64 || !name.All(static one => char.IsAsciiLetterOrDigit(one) || one is '-' or '_'))
            {
                given.AddError("--instance: letters, digits, '-' and '_', at most 64 of them");
            }
        });
        Command command = new("serve", "Run this node's daemon in the foreground.") { configuration, instance };
        command.SetAction(result => Guard(async () =>
        {
            using var interruption = new Interruption();
            var read = HandoffConfiguration.Read(result.GetValue(configuration)!);
            using HandoffDaemon daemon = await StartAsync(read, result.GetValue(instance)!);
            HandoffStatus status = daemon.GetStatus();
            Terminal.Note($"connections move over {status.Interface}; workers' sockets are in {read.SocketDirectory}");
            if (status.InboundLimit != read.MaximumConnections || status.OutboundLimit != read.MaximumConnections)
            {
                Terminal.Note(
                    $"max_connections is {read.MaximumConnections}, and the tables hold {status.InboundLimit} and "
                    + $"{status.OutboundLimit}: connections are in them; it takes effect at a start that finds them empty");
            }

            await daemon.RunAsync(interruption.Token);
            return ExitStatus.Done;
        }));
        return command;
    }

    private static async Task<HandoffDaemon> StartAsync(HandoffConfiguration configuration, string instance)
    {
        try
        {
            return UnprivilegedStart.Create(configuration, instance, Terminal.Note);
        }
        catch (IOException failure) when (failure.InnerException is SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse })
        {
            throw new CommandException(await DescribeTakenPortAsync(failure, configuration.SocketDirectory, s_patience));
        }
    }

    /// <summary>
    /// Why the daemons' port is taken: mostly by a daemon that runs already, as a service. By another program, nothing more is known.
    /// </summary>
    /// <param name="failure">What listening there failed with.</param>
    /// <param name="folder">The folder of Unix sockets, where a daemon of the same configuration answers.</param>
    /// <param name="patience">How long it is waited for.</param>
    internal static async Task<string> DescribeTakenPortAsync(IOException failure, string folder, TimeSpan patience)
    {
        const string Runs = "another daemon of this node runs already";
        try
        {
            HandoffStatus other = await HandoffStatus.AskAsync(folder, patience, CancellationToken.None);
            return string.Create(CultureInfo.InvariantCulture, $"{Runs}, process {other.ProcessId} ({failure.Message})");
        }
        catch (IOException unanswered) when (unanswered.InnerException is OperationCanceledException)
        {
            return $"{Runs}, and hangs ({failure.Message}; {unanswered.Message})";
        }
        catch (IOException)
        {
            return failure.Message;
        }
    }

    private static Command CreateStatus()
    {
        Option<string> configuration = ConfigurationOption();
        Option<bool> json = new("--json") { Description = "Print one JSON document and nothing else." };
        Command command = new("status", "What this node's daemon has moved, and how it is.") { configuration, json };
        command.SetAction(result => Guard(async () =>
        {
            var read = HandoffConfiguration.Read(result.GetValue(configuration)!);
            HandoffStatus status = await HandoffStatus.AskAsync(read.SocketDirectory, s_patience, CancellationToken.None);
            if (result.GetValue(json))
            {
                Terminal.Result(status.ToJson());
            }
            else
            {
                Print(status);
            }

            return ExitStatus.Done;
        }));
        return command;
    }

    private static void PrintDurations(string what, IReadOnlyDictionary<string, long> counts)
    {
        string Part(double part) => DurationHistogram.Quantile(counts, part)?.ToString("0", CultureInfo.InvariantCulture) ?? "more";

        if (counts.Count > 0)
        {
            Terminal.Result($"{what}, us: half up to {Part(0.5)}, 99 % up to {Part(0.99)}, all up to {Part(1)}");
        }
    }

    private static void Print(HandoffStatus status)
    {
        Terminal.Result(
            $"process {status.ProcessId}, interface {status.Interface}, listeners of workers: {status.Listeners}, "
            + $"under way: {status.MovesUnderWay}");
        Terminal.Result(
            $"given away: {status.Given} (not confirmed: {status.GivenUnconfirmed}), "
            + $"entries: {status.InboundEntries} of {status.InboundLimit}");
        Terminal.Result(
            $"taken and open: {status.TakenNow}, entries: {status.OutboundEntries} of {status.OutboundLimit}, "
            + $"no worker could be given: {status.Undelivered}");
        Terminal.Result($"waiting: {status.HeldBytes} bytes, frames dropped: {status.HeldDropped}");
        Terminal.Result($"sent away: {status.WorkersRejected} sessions of workers, {status.PeersRejected} streams of strangers");
        foreach ((string reason, long count) in status.Refused)
        {
            Terminal.Result($"refused, {reason}: {count}; last: {status.LastRefusals.GetValueOrDefault(reason)}");
        }

        PrintDurations("held, of moves given", status.FreezeMicroseconds);
        PrintDurations("of that in this node, as origin", status.CaptureMicroseconds);
        PrintDurations("of that in this node, as target", status.RestoreMicroseconds);

        foreach ((string counter, ulong count) in status.Packets)
        {
            Terminal.Result($"packets, {counter}: {count}");
        }

        foreach ((string counter, ulong count) in status.Bytes)
        {
            Terminal.Result($"bytes, {counter}: {count}");
        }

        Terminal.Result(
            $"asked for, of shared addresses: found {status.SoughtFound}, unknown {status.SoughtUnknown}, "
            + $"not answered {status.SoughtUnanswered}");
        foreach (PeerStatus peer in status.Peers)
        {
            Terminal.Result($"peer {peer.Name}, {peer.Address}: {Describe(peer)}");
        }
    }

    private static string Describe(PeerStatus peer) =>
        !peer.IsConnected ? peer.Problem ?? "being tried" : peer.IsSilent ? $"connected, but {peer.Problem}" : "connected";

    private static int Guard(Func<Task<int>> action)
    {
        try
        {
            return action().GetAwaiter().GetResult();
        }
        catch (HandoffConfigurationException mistake)
        {
            throw new CommandException(mistake.Message, ExitStatus.Usage);
        }
        catch (Exception failure) when (failure is BpfException or IOException or UnauthorizedAccessException)
        {
            throw new CommandException(failure.Message);
        }
    }
}
