// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.CommandLine;
using System.IO;
using System.Linq;
using Xunit;

namespace Pronghorn.Cli.Tests;

/// <summary>The manual pages say what the command line takes.</summary>
public sealed class ManualTests
{
    // The binaries may stand outside the tree: what the pages say is compiled in.
    private static readonly Dictionary<string, string> s_pages = Pages();

    public static TheoryData<string> Commands => [.. Program.CreateRoot().Subcommands.Select(command => command.Name)];

    [Theory]
    [MemberData(nameof(Commands))]
    public void Command_ComparedWithItsPage_HasNoOptionThatIsNotExplained(string name)
    {
        Command command = Program.CreateRoot().Subcommands.Single(command => command.Name == name);
        string page = s_pages[name];

        IEnumerable<string> options = command.Subcommands.Prepend(command)
            .SelectMany(one => one.Options)
            .SelectMany(option => option.Aliases.Prepend(option.Name))
            .Where(option => option is not ("--help" or "-h" or "-?" or "/h" or "/?"));

        Assert.DoesNotContain(options, option => !page.Contains($"**{option}**", StringComparison.Ordinal));
    }

    private static Dictionary<string, string> Pages() => typeof(ManualTests).Assembly.GetManifestResourceNames()
        .Where(name => name.EndsWith(".md", StringComparison.Ordinal))
        .ToDictionary(
            name => name.Split('-')[^1].Split('.')[0],
            name =>
            {
                using StreamReader reader = new(typeof(ManualTests).Assembly.GetManifestResourceStream(name)!);
                return reader.ReadToEnd();
            });
}
