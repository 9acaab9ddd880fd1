// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections;
using System.Collections.Generic;
using System.CommandLine;
using System.IO;
using System.Linq;
using Pronghorn.Cli.Hosting;
using Pronghorn.Cli.Observation;
using Pronghorn.Linux.Execution;
using Pronghorn.Runtime.Statistics;

namespace Pronghorn.Cli.Commands;

/// <summary><c>pronghorn run</c>: runs a program on the stack.</summary>
internal static class RunCommand
{
    internal static Command Create()
    {
        Option<string?> profile = new("--profile") { Description = "default, latency (polls longer), gentle (blocks at once)." };
        Option<string?> mode = new("--mode") { Description = "rtc: in the program's thread. rtw: in a daemon (not yet)." };
        Option<string?> interfaceName = new("--interface") { Description = "Use this interface only." };
        Option<bool> strict = new("--strict") { Description = "Fail where a socket would fall back to the kernel." };
        Option<bool> dryRun = new("--dry-run") { Description = "Print the command line that would be run, and end." };
        Argument<string[]> words = new("command")
        {
            Description = "The program and its arguments, after --.",
            Arity = ArgumentArity.OneOrMore,
        };
        Command command = new("run", "Run a program on the stack: pronghorn run [options] -- COMMAND...")
        {
            profile, mode, interfaceName, strict, dryRun, words,
        };
        command.SetAction(result => Run(
            result.GetValue(words)!,
            result.GetValue(profile),
            result.GetValue(mode),
            result.GetValue(interfaceName),
            result.GetValue(strict),
            result.GetValue(dryRun)));
        return command;
    }

    private static int Run(
        string[] words, string? profileName, string? mode, string? interfaceName, bool strict, bool dryRun)
    {
        if (words[0].StartsWith('-'))
        {
            throw new CommandException(
                $"run: there is no option '{words[0]}'; the program's own options stand behind its name", ExitStatus.Usage);
        }

        Profile profile = Profile.Choose(profileName);
        Placement placement = mode is null ? profile.Placement : Profile.ParseMode(mode);
        if (placement == Placement.Service)
        {
            throw new CommandException(
                "--mode rtw needs the daemon pronghornd, which this version does not have yet; use --mode rtc");
        }

        string path = ProgramFile.Find(words[0])
            ?? throw NotFound(words[0]);
        Preloadability.Require(path, Environment.IsPrivilegedProcess);
        if (interfaceName is not null && !Directory.Exists($"/sys/class/net/{interfaceName}"))
        {
            throw new CommandException($"--interface: there is no interface '{interfaceName}' in this network namespace");
        }

        IReadOnlyList<KeyValuePair<string, string>> variables = PreloadEnvironment.Create(
            InstallLayout.RequireLibraryDirectory(), interfaceName, strict, profile.Settings, PreloadEnvironment.InheritedPreload);
        if (dryRun)
        {
            Terminal.Result(ShellQuoting.Join(
                ["env", .. variables.Select(variable => $"{variable.Key}={variable.Value}"), .. words]));
            return ExitStatus.Done;
        }

        StatisticsDirectory.RemoveStale();
        int error = ProcessImage.Replace(path, words, Merge(variables));
        throw new CommandException($"{path} cannot be executed: error {-error} (errno(3))", ExitStatus.NotExecutable);
    }

    private static CommandException NotFound(string word)
    {
        if (word.Length == 0)
        {
            return new CommandException("the program's name is empty", ExitStatus.NotFound);
        }

        bool isPath = word.Contains('/', StringComparison.Ordinal);
        return isPath && Path.Exists(word)
            ? new CommandException($"{word} is not a file that may be executed", ExitStatus.NotExecutable)
            : new CommandException(isPath ? $"there is no file {word}" : $"{word}: no such program on PATH", ExitStatus.NotFound);
    }

    // exec keeps the pid, the terminal and the signals: to its caller the program is what was started.
    private static string[] Merge(IReadOnlyList<KeyValuePair<string, string>> variables)
    {
        SortedDictionary<string, string> merged = new(StringComparer.Ordinal);
        foreach (DictionaryEntry entry in Environment.GetEnvironmentVariables())
        {
            merged[(string)entry.Key] = (string?)entry.Value ?? "";
        }

        foreach ((string name, string value) in variables)
        {
            merged[name] = value;
        }

        return [.. merged.Select(entry => $"{entry.Key}={entry.Value}")];
    }
}
