// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Diagnostics;
using System.Threading.Tasks;

namespace Pronghorn.Lab;

/// <summary>Exit status and output of a command that has ended.</summary>
/// <param name="ExitCode">Exit status.</param>
/// <param name="Output">Standard output.</param>
/// <param name="Error">Standard error.</param>
public sealed record LabOutput(int ExitCode, string Output, string Error);

/// <summary>Runs short commands (ip, ethtool, ...) to their end.</summary>
public static class LabCommand
{
    /// <summary>Runs a command and throws when it fails.</summary>
    /// <param name="file">Program, looked up in PATH.</param>
    /// <param name="arguments">Its arguments, one each; no shell is between.</param>
    /// <returns>Standard output.</returns>
    /// <exception cref="LabException">The program is missing, or its exit status is not 0.</exception>
    public static string Run(string file, params IReadOnlyList<string> arguments)
    {
        LabOutput output = TryRun(file, arguments);
        return output.ExitCode == 0
            ? output.Output
            : throw new LabException(
                $"'{file} {string.Join(' ', arguments)}' ended with {output.ExitCode}: {output.Error.Trim()}");
    }

    /// <summary>Runs a command and returns how it ended.</summary>
    /// <exception cref="LabException">The program is missing.</exception>
    public static LabOutput TryRun(string file, params IReadOnlyList<string> arguments)
    {
        ProcessStartInfo start = CreateStartInfo(file, arguments);
        using Process process = Start(start);
        process.StandardInput.Close();
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return new LabOutput(process.ExitCode, output, error.GetAwaiter().GetResult());
    }

    internal static ProcessStartInfo CreateStartInfo(string file, IReadOnlyList<string> arguments)
    {
        var start = new ProcessStartInfo(file)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        return start;
    }

    internal static Process Start(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception exception)
        {
            throw new LabException($"'{start.FileName}' did not start: {exception.Message}", exception);
        }
    }
}
