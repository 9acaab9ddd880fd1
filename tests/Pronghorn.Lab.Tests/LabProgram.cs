// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Text;
using System.Threading;

namespace Pronghorn.Lab.Tests;

/// <summary>A program in a namespace that says in a line that it is ready, and is killed in the end.</summary>
internal sealed class LabProgram : IDisposable
{
    // A safety net; nothing waits for it where all is well.
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly StringBuilder _output = new();

    private LabProgram(Process process) => _process = process;

    /// <summary>Process id.</summary>
    public int Id => _process.Id;

    /// <summary>Whether it has ended.</summary>
    public bool HasEnded => _process.HasExited;

    /// <summary>Standard input.</summary>
    public StreamWriter Input => _process.StandardInput;

    /// <summary>Starts one and waits for the line that has <paramref name="readyWord"/>.</summary>
    /// <exception cref="LabException">It ended before; the message has what it said.</exception>
    public static LabProgram Start(
        NetworkNamespace place, string file, IReadOnlyList<string> arguments, LabProcessOptions options, string readyWord)
    {
        var program = new LabProgram(place.Start(file, arguments, options));
        using var ready = new ManualResetEventSlim();
        bool isReady = false;
        program._process.ErrorDataReceived += (_, line) => program.Note(line.Data);
        program._process.OutputDataReceived += (_, line) =>
        {
            program.Note(line.Data);
            if (!isReady && (line.Data is null || line.Data.Contains(readyWord, StringComparison.Ordinal)))
            {
                isReady = line.Data is not null;
                TrySet(ready);
            }
        };
        program._process.BeginErrorReadLine();
        program._process.BeginOutputReadLine();
        if (!ready.Wait(s_patience) || !isReady)
        {
            program.Dispose();
            throw new LabException($"{file} is not ready: {program.Said}");
        }

        return program;
    }

    /// <summary>All that it said.</summary>
    public string Said
    {
        get
        {
            lock (_output)
            {
                return _output.ToString();
            }
        }
    }

    /// <summary>kill -9, and waits until it is dead.</summary>
    public void Kill()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        _process.WaitForExit();
    }

    /// <summary>Waits until it ended by itself.</summary>
    public void WaitForEnd()
    {
        if (!_process.WaitForExit(s_patience))
        {
            throw new TimeoutException("The program goes on: " + Said);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Kill();
        _process.Dispose();
    }

    private void Note(string? line)
    {
        lock (_output)
        {
            _output.AppendLine(line);
        }
    }

    private static void TrySet(ManualResetEventSlim ready)
    {
        try
        {
            ready.Set();
        }
        catch (ObjectDisposedException)
        {
            // The last line of a program that was given up.
        }
    }
}
