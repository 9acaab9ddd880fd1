// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using System.Threading;

namespace Pronghorn.Cli.Hosting;

/// <summary>A program started by the command line, with its output collected.</summary>
internal sealed class ChildProcess : IDisposable
{
    private static readonly TimeSpan s_grace = TimeSpan.FromSeconds(5);

    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _errors = new();
    private readonly ManualResetEventSlim _marked = new(false);
    private readonly string? _marker;
    private readonly string _name;

    private ChildProcess(IReadOnlyList<string> commandLine, string? marker)
    {
        _name = commandLine[0];
        _marker = marker;
        ProcessStartInfo start = new(commandLine[0])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        for (int i = 1; i < commandLine.Count; i++)
        {
            start.ArgumentList.Add(commandLine[i]);
        }

        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => Collect(_output, line.Data);
        _process.ErrorDataReceived += (_, line) => Collect(_errors, line.Data);
    }

    /// <summary>The last of what the program wrote to standard error and output, for an error message.</summary>
    internal string Tail
    {
        get
        {
            string text = (Snapshot(_errors) + Snapshot(_output)).Trim();
            return text.Length <= 600 ? text : text[^600..];
        }
    }

    /// <summary>Starts a program.</summary>
    /// <param name="commandLine">The program and its arguments.</param>
    /// <param name="marker">Text in its output that <see cref="WaitForMarker"/> waits for.</param>
    internal static ChildProcess Start(IReadOnlyList<string> commandLine, string? marker = null)
    {
        ChildProcess child = new(commandLine, marker);
        try
        {
            child._process.Start();
        }
        catch (Win32Exception failure)
        {
            throw new CommandException($"cannot start {commandLine[0]}: {failure.Message}");
        }

        child._process.StandardInput.Close();
        child._process.BeginOutputReadLine();
        child._process.BeginErrorReadLine();
        return child;
    }

    /// <summary>Runs a program to its end and returns its output.</summary>
    /// <exception cref="CommandException">It failed, or did not end in time.</exception>
    internal static string Run(IReadOnlyList<string> commandLine, TimeSpan limit, CancellationToken cancellation)
    {
        using ChildProcess child = Start(commandLine);
        return child.WaitForEnd(limit, cancellation);
    }

    /// <summary>Waits for the program's end and returns its output.</summary>
    /// <exception cref="CommandException">It failed, or did not end in time.</exception>
    internal string WaitForEnd(TimeSpan limit, CancellationToken cancellation)
    {
        using CancellationTokenRegistration kill = cancellation.Register(Kill);
        bool ended = _process.WaitForExit(limit);
        cancellation.ThrowIfCancellationRequested();
        string line = $"{_name} {string.Join(' ', _process.StartInfo.ArgumentList)}";
        if (!ended)
        {
            throw new CommandException($"no end after {limit.TotalSeconds} s: {line}\n{Tail}");
        }

        _process.WaitForExit(); // the parameterless form also waits for the output to be read
        return _process.ExitCode == 0
            ? Snapshot(_output)
            : throw new CommandException($"exit status {_process.ExitCode}: {line}\n{Tail}");
    }

    /// <summary>Waits until the marker appears in the output.</summary>
    internal void WaitForMarker(TimeSpan limit, CancellationToken cancellation)
    {
        if (!_marked.Wait(limit, cancellation) || _process.HasExited)
        {
            throw new CommandException($"{_name} did not get ready; it said:\n{Tail}");
        }
    }

    /// <summary>Asks the program to end, and makes it if it does not.</summary>
    internal void Stop()
    {
        if (_process.HasExited)
        {
            return;
        }

        using (Process signal = Process.Start("/bin/sh", ["-c", $"kill -TERM {_process.Id}"]))
        {
            signal.WaitForExit();
        }

        if (!_process.WaitForExit(s_grace))
        {
            Terminal.Note($"{_name} did not end {s_grace.TotalSeconds} s after SIGTERM and was killed");
            Kill();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Kill();
        _process.Dispose();
        _marked.Dispose();
    }

    private static string Snapshot(StringBuilder text)
    {
        lock (text)
        {
            return text.ToString();
        }
    }

    private void Kill()
    {
        try
        {
            if (!_process.HasExited)
            {
                _process.Kill();
                _process.WaitForExit(s_grace);
            }
        }
        catch (InvalidOperationException)
        {
            // It ended meanwhile: nothing is left to kill.
        }
    }

    private void Collect(StringBuilder text, string? line)
    {
        if (line is null)
        {
            // End of output: a program that died before its marker must not be waited for.
            SetMarked();
            return;
        }

        lock (text)
        {
            text.Append(line).Append('\n');
        }

        if (_marker is not null && line.Contains(_marker, StringComparison.Ordinal))
        {
            SetMarked();
        }
    }

    private void SetMarked()
    {
        try
        {
            _marked.Set();
        }
        catch (ObjectDisposedException)
        {
            // The last lines of a program that is no longer wanted.
        }
    }
}
