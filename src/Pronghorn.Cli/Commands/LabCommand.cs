// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections;
using System.Collections.Generic;
using System.CommandLine;
using System.Linq;
using System.Threading;
using Pronghorn.Cli.Hosting;
using Pronghorn.Cli.Networks;
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
        Command command = new("lab", "Make or remove two hosts in network namespaces, joined by one cable.")
        {
            name, action, host,
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

        HostPair hosts = new($"pronghorn-lab-{name}");
        return action switch
        {
            "up" => Up(name, hosts),
            "down" => Down(name, hosts),
            "shell" => Shell(name, hosts, host),
            _ => throw new CommandException($"lab: '{action}' is none of up, down, shell", ExitStatus.Usage),
        };
    }

    private static int Up(string name, HostPair hosts)
    {
        if (hosts.Exists)
        {
            throw new CommandException($"lab {name} is up already; pronghorn lab {name} down removes it");
        }

        RequireRoot();
        using Interruption interruption = new();
        hosts.Create(interruption.Token);
        Terminal.Result($"{hosts.Server}  {HostPair.InterfaceName}  {HostPair.ServerAddress}/24");
        Terminal.Result($"{hosts.Client}  {HostPair.InterfaceName}  {HostPair.ClientAddress}/24");
        return ExitStatus.Done;
    }

    private static int Down(string name, HostPair hosts)
    {
        if (!hosts.Exists)
        {
            throw new CommandException($"lab {name} is not up");
        }

        RequireRoot();
        hosts.Remove();
        return hosts.Exists ? ExitStatus.Failed : ExitStatus.Done;
    }

    private static int Shell(string name, HostPair hosts, string host)
    {
        string space = host switch
        {
            "server" => hosts.Server,
            "client" => hosts.Client,
            _ => throw new CommandException($"lab: '{host}' is neither server nor client", ExitStatus.Usage),
        };
        if (!hosts.Exists)
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
