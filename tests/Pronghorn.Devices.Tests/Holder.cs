// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using Pronghorn.Lab;

namespace Pronghorn.Devices.Tests;

/// <summary>Another process, in a namespace, that opens a device and holds it; see <see cref="Program"/>.</summary>
internal sealed class Holder : IDisposable
{
    private readonly Process _process;

    private Holder(Process process, string report)
    {
        _process = process;
        Report = report;
    }

    /// <summary>The command that starts this assembly's <see cref="Program"/>.</summary>
    public static IReadOnlyList<string> ProgramCommand
    {
        get
        {
            string host = Environment.ProcessPath!;
            string assembly = typeof(Holder).Assembly.Location;
            return Path.GetFileNameWithoutExtension(host) == "dotnet"
                ? [host, "exec", assembly]
                : [Path.ChangeExtension(assembly, null)];
        }
    }

    /// <summary>"open", or the error.</summary>
    public string Report { get; }

    /// <summary>Starts one and waits for its report.</summary>
    /// <param name="place">The namespace.</param>
    /// <param name="wrapper">Words to put before the command, as setpriv and its options.</param>
    /// <param name="mode">Second argument of the program.</param>
    public static Holder Start(NetworkNamespace place, IReadOnlyList<string> wrapper, string mode = "")
    {
        List<string> words = [.. wrapper, .. ProgramCommand];
        words.AddRange([TwoHosts.Interface, mode]);
        Process process = place.Start(words[0], words[1..]);
        string? report = process.StandardOutput.ReadLine();
        return new Holder(process, report ?? process.StandardError.ReadToEnd());
    }

    /// <summary>kill -9, and waits until it is dead.</summary>
    public void Kill()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    /// <summary>Lets it end by itself.</summary>
    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.StandardInput.Close();
            _process.WaitForExit();
        }

        _process.Dispose();
    }
}
