// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections;
using System.Collections.Generic;
using System.CommandLine;
using System.Linq;
using Pronghorn.Cli.Hosting;
using Pronghorn.Cli.Observation;
using Pronghorn.Lab;
using Pronghorn.Linux.Execution;

namespace Pronghorn.Cli.Commands;

/// <summary><c>pronghorn lab</c>: a ready network in namespaces.</summary>
internal static class LabCommand
{
    private const int LongestName = 32;

    internal static Command Create()
    {
        Argument<string> name = new("name") { Description = "Name of the lab: letters, digits, hyphens." };
        Argument<string> action = new("action") { Description = "up, down or shell." };
        Argument<string> host = new("host")
        {
            Description = "Where the shell runs: server or client.",
            DefaultValueFactory = _ => "server",
        };
        Command command = new("lab", "Make or remove two hosts joined by one cable: network namespaces pronghorn-lab-NAME-server, with "
            + $"{TwoHosts.ServerAddress} on {TwoHosts.Interface}, and pronghorn-lab-NAME-client, with {TwoHosts.ClientAddress} on "
            + $"{TwoHosts.Interface}.")
        {
            name, action, host, CdnCommand.Create(),
        };
        command.SetAction(result => Run(result.GetValue(name)!, result.GetValue(action)!, result.GetValue(host)!));
        return command;
    }

    private static int Run(string name, string action, string host)
    {
        if (name.Length is 0 or > LongestName || !name.All(c => char.IsAsciiLetterOrDigit(c) || c == '-'))
        {
            throw new CommandException(
                $"lab: '{name}' is no name of 1 to {LongestName} letters, digits and hyphens", ExitStatus.Usage);
        }

        string network = $"pronghorn-lab-{name}";
        return action switch
        {
            "up" => Up(name, network),
            "down" => Down(name, network),
            "shell" => Shell(name, network, host),
            _ => throw new CommandException($"lab: '{action}' is none of up, down, shell", ExitStatus.Usage),
        };
    }

    private static int Up(string name, string network)
    {
        if (TwoHosts.Exists(network))
        {
            throw new CommandException($"lab {name} is up already; pronghorn lab {name} down removes it");
        }

        RequireRoot();
        try
        {
            TwoHosts.Create(new TwoHostsOptions { Name = network }).Dispose();
        }
        catch (LabException failure)
        {
            throw new CommandException($"lab {name} cannot be made: {failure.Message}");
        }

        Terminal.Result($"{TwoHosts.ServerName(network)}  {TwoHosts.Interface}  {TwoHosts.ServerAddress}/24");
        Terminal.Result($"{TwoHosts.ClientName(network)}  {TwoHosts.Interface}  {TwoHosts.ClientAddress}/24");
        return ExitStatus.Done;
    }

    private static int Down(string name, string network)
    {
        if (!TwoHosts.Exists(network))
        {
            throw new CommandException($"lab {name} is not up");
        }

        RequireRoot();
        TwoHosts.Remove(network);

        // Of the programs that ended with it.
        StatisticsDirectory.RemoveStale();
        return TwoHosts.Exists(network) ? ExitStatus.Failed : ExitStatus.Done;
    }

    private static int Shell(string name, string network, string host)
    {
        string space = host switch
        {
            "server" => TwoHosts.ServerName(network),
            "client" => TwoHosts.ClientName(network),
            _ => throw new CommandException($"lab: '{host}' is neither server nor client", ExitStatus.Usage),
        };
        if (!TwoHosts.Exists(network))
        {
            throw new CommandException($"lab {name} is not up; pronghorn lab {name} up makes it");
        }

        RequireRoot();
        string ip = ProgramFile.Find("ip") ?? throw new CommandException("ip is not installed; apt-get install iproute2");
        string shell = Environment.GetEnvironmentVariable("SHELL") is { Length: > 0 } chosen ? chosen : "/bin/sh";
        int error = ProcessImage.Replace(
            ip, ["ip", "netns", "exec", space, shell], CurrentEnvironment());
        throw new CommandException($"{ip} cannot be executed: error {-error} (errno(3))", ExitStatus.Failed);
    }

    private static void RequireRoot()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            throw new CommandException("lab needs root: it works with network namespaces");
        }
    }

    private static string[] CurrentEnvironment()
    {
        List<string> entries = [];
        foreach (DictionaryEntry entry in Environment.GetEnvironmentVariables())
        {
            entries.Add($"{entry.Key}={entry.Value}");
        }

        return [.. entries];
    }
}
