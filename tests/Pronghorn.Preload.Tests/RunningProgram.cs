// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Text;
using System.Threading.Tasks;
using Pronghorn.Lab;

namespace Pronghorn.Preload.Tests;

/// <summary>A program in a namespace, with its output kept. Disposing kills it, if it still runs.</summary>
internal sealed class RunningProgram : IDisposable
{
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _error = new();
    private readonly Task _reading;

    private RunningProgram(Process process)
    {
        Process = process;
        _reading = Task.WhenAll(ReadAsync(process.StandardOutput, _output), ReadAsync(process.StandardError, _error));
    }

    public Process Process { get; }

    public string Output => Text(_output);

    public string Error => Text(_error);

    public static RunningProgram Start(
        NetworkNamespace place, Dictionary<string, string?>? environment, string file, params IReadOnlyList<string> arguments)
    {
        var options = new LabProcessOptions { Environment = environment ?? [] };
        return new RunningProgram(place.Start(file, arguments, options));
    }

    /// <summary>Runs a program to its end; throws when it takes longer than the safety net allows.</summary>
    public static LabOutput Run(
        NetworkNamespace place, Dictionary<string, string?>? environment, string file, params IReadOnlyList<string> arguments)
    {
        using RunningProgram program = Start(place, environment, file, arguments);
        program.Process.StandardInput.Close();
        return program.WaitForEnd();
    }

    public LabOutput WaitForEnd(int seconds = 60)
    {
        if (!Process.WaitForExit(seconds * 1000) || !_reading.Wait(5000))
        {
            throw new TimeoutException($"{Process.StartInfo.FileName} still runs; it said: {Output}{Error}");
        }

        return new LabOutput(Process.ExitCode, Output, Error);
    }

    /// <summary>Waits until a condition holds that no event tells, such as a port that listens.</summary>
    public void WaitUntil(Func<bool> condition, string what)
    {
        long end = Environment.TickCount64 + 20_000;
        while (!condition())
        {
            bool ended = Process.WaitForExit(5) && _reading.Wait(5000);
            if (ended && condition())
            {
                return;
            }

            if (ended || Environment.TickCount64 > end)
            {
                throw new TimeoutException($"{what} never came true; the program said: {Output}{Error}");
            }
        }
    }

    public void WaitForOutput(string text) => WaitUntil(() => Output.Contains(text, StringComparison.Ordinal), text);

    public void Dispose()
    {
        try
        {
            Process.Kill();
        }
        catch (InvalidOperationException)
        {
            // It has ended.
        }

        Process.WaitForExit();
        Process.Dispose();
    }

    private static string Text(StringBuilder builder)
    {
        lock (builder)
        {
            return builder.ToString();
        }
    }

    private static async Task ReadAsync(System.IO.StreamReader reader, StringBuilder builder)
    {
        char[] buffer = new char[4096];
        int count;
        while ((count = await reader.ReadAsync(buffer).ConfigureAwait(false)) > 0)
        {
            lock (builder)
            {
                builder.Append(buffer, 0, count);
            }
        }
    }
}
