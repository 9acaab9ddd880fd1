// SPDX-License-Identifier: Apache-2.0
using System;
using System.CommandLine;
using System.IO;
using Pronghorn.Cli.Commands;
using Pronghorn.Cli.Hosting;

namespace Pronghorn.Cli;

/// <summary>The entry point of the <c>pronghorn</c> command line.</summary>
internal static class Program
{
    private static int Main(string[] arguments) => Invoke(arguments);

    /// <summary>Runs one command line. Exit status: 0 done, 1 failed, 2 wrong usage, 128 and the signal's number interrupted.</summary>
    internal static int Invoke(string[] arguments, TextWriter? output = null)
    {
        RootCommand root = CreateRoot();
        ParseResult result = root.Parse(arguments);

        // A shell that completes a line asks with "[suggest:POSITION]"; such a line is never right yet.
        bool isCompletion = arguments is [['[', ..], ..];
        if (result.Errors.Count > 0 && !isCompletion)
        {
            foreach (string line in UsageErrors.Describe(result))
            {
                Terminal.Error(line);
            }

            Terminal.Note($"see: {UsageErrors.CommandPath(result)} --help");
            return ExitStatus.Usage;
        }

        try
        {
            InvocationConfiguration configuration = new() { EnableDefaultExceptionHandler = false };
            configuration.Output = output ?? configuration.Output;
            return result.Invoke(configuration);
        }
        catch (CommandException failure)
        {
            Terminal.Error(failure.Message);
            return failure.Status;
        }
        catch (OperationCanceledException)
        {
            Terminal.Error("interrupted; everything that was created has been removed");
            return Interruption.Status;
        }
    }

    internal static RootCommand CreateRoot() => new(
        "Pronghorn runs unmodified programs on a user-space TCP/IP stack beside the kernel's, over AF_XDP.")
    {
        RunCommand.Create(),
        SocketsCommand.Create(),
        StatisticsCommand.Create(),
        DoctorCommand.Create(),
        BenchCommand.Create(),
        LabCommand.Create(),
        LoadBalancerCommand.Create(),
        HandoffCommand.Create(),
    };
}
