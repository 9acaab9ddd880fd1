// SPDX-License-Identifier: Apache-2.0
using System;
using System.CommandLine;
using System.CommandLine.Parsing;
using Pronghorn.Cli.Commands;

namespace Pronghorn.Cli;

/// <summary>The entry point of the <c>pronghorn</c> command line.</summary>
internal static class Program
{
    private static int Main(string[] arguments) => Invoke(arguments);

    /// <summary>Runs one command line. Exit status: 0 done, 1 failed, 2 wrong usage.</summary>
    internal static int Invoke(string[] arguments)
    {
        RootCommand root = CreateRoot();
        ParseResult result = root.Parse(arguments);
        if (result.Errors.Count > 0)
        {
            foreach (ParseError error in result.Errors)
            {
                Terminal.Error(error.Message);
            }

            Terminal.Note("see: pronghorn --help");
            return ExitStatus.Usage;
        }

        try
        {
            return result.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (CommandException failure)
        {
            Terminal.Error(failure.Message);
            return failure.Status;
        }
        catch (OperationCanceledException)
        {
            Terminal.Error("interrupted; everything that was created has been removed");
            return ExitStatus.Failed;
        }
    }

    private static RootCommand CreateRoot() => new(
        "Pronghorn runs unmodified programs on a user-space TCP/IP stack beside the kernel's, over AF_XDP.")
    {
        RunCommand.Create(),
        SocketsCommand.Create(),
        StatisticsCommand.Create(),
        DoctorCommand.Create(),
        BenchCommand.Create(),
        LabCommand.Create(),
        LoadBalancerCommand.Create(),
    };
}
