// SPDX-License-Identifier: Apache-2.0
using System;
using Spectre.Console;

namespace Pronghorn.Cli;

/// <summary>Standard output carries results, standard error carries everything said about them.</summary>
internal static class Terminal
{
    // A table that is piped into a file must not be wrapped at the 80 columns that no terminal has.
    private const int ColumnsWhenRedirected = 200;

    /// <summary>Writes one line of progress or advice to standard error.</summary>
    internal static void Note(string text) => Console.Error.WriteLine(text);

    /// <summary>Writes one line of failure to standard error.</summary>
    internal static void Error(string text) => Console.Error.WriteLine($"pronghorn: {text}");

    /// <summary>Writes one line of result to standard output.</summary>
    internal static void Result(string text) => Console.Out.WriteLine(text);

    /// <summary>Writes a table of results to standard output.</summary>
    internal static void Result(Table table)
    {
        if (Console.IsOutputRedirected)
        {
            AnsiConsole.Profile.Width = ColumnsWhenRedirected;
        }

        AnsiConsole.Write(table);
    }
}
