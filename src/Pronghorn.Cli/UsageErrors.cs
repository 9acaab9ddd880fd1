// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.CommandLine;
using System.CommandLine.Parsing;
using System.Linq;

namespace Pronghorn.Cli;

/// <summary>What is wrong with a command line, in words for its user rather than for the program's authors.</summary>
internal static class UsageErrors
{
    // As System.CommandLine ends its message for a value of the wrong type.
    private const string TypePrefix = " as expected type '";

    /// <summary>One line for each error; what only follows from another error is left out.</summary>
    internal static IReadOnlyList<string> Describe(ParseResult result)
    {
        List<string> lines = [];
        foreach (ParseError error in result.Errors)
        {
            lines.Add(Describe(error.Message));
        }

        // A misspelt subcommand is also a missing one.
        bool isMisspelt = result.UnmatchedTokens.Count > 0;
        bool lacksCommand = result.CommandResult.Command.Subcommands.Count > 0;
        return isMisspelt && lacksCommand
            ? [.. result.UnmatchedTokens.Take(1).Select(token => Unknown(token, result.CommandResult.Command))]
            : lines;
    }

    /// <summary>The command whose help says more, as "pronghorn bench redis".</summary>
    internal static string CommandPath(ParseResult result)
    {
        List<string> names = [];
        for (SymbolResult? at = result.CommandResult; at is not null; at = at.Parent)
        {
            if (at is CommandResult { Command: not RootCommand } command)
            {
                names.Insert(0, command.Command.Name);
            }
        }

        return string.Join(' ', ["pronghorn", .. names]);
    }

    private static string Unknown(string token, Command command) => token.StartsWith('-')
        ? $"there is no option '{token}' here, and a command is missing: {Names(command)}"
        : $"there is no command '{token}'; the commands are {Names(command)}";

    private static string Names(Command command) => string.Join(", ", command.Subcommands.Select(child => child.Name));

    private static string Describe(string message)
    {
        int type = message.IndexOf(TypePrefix, StringComparison.Ordinal);
        if (type < 0)
        {
            return message;
        }

        string name = message[type..];
        string kind = name.Contains("System.Int", StringComparison.Ordinal) || name.Contains("System.UInt", StringComparison.Ordinal)
            ? "it is not a whole number, or too large"
            : name.Contains("System.", StringComparison.Ordinal) ? "it is not a number" : "it is none of the words that its help names";
        return string.Concat(message.AsSpan(0, type), ": ", kind);
    }
}
