// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Handoff.Tests.RandomMoves;

/// <summary>programs/wire.c between a host and its bridge.</summary>
internal sealed class Cable : IDisposable
{
    private readonly Process _process;
    private readonly string _folder;

    private Cable(Process process, string folder) => (_process, _folder) = (process, folder);

    /// <summary>Starts to carry frames.</summary>
    /// <param name="place">The namespace of the cable.</param>
    /// <param name="faults">Words of wire.c: loss, reorder, late.</param>
    /// <param name="seed">What the faults are drawn from.</param>
    public static Cable Start(NetworkNamespace place, string faults, int seed)
    {
        string folder = Directory.CreateTempSubdirectory("pronghorn-cable-").FullName;
        string program = Path.Combine(folder, "wire");
        LabCommand.Run("gcc", "-O2", "-o", program, Path.Combine(AppContext.BaseDirectory, "programs", "wire.c"));
        string[] words = faults.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var process = Process.Start(new ProcessStartInfo(
            "nsenter",
            [$"--net={place.Path}", program, "inside", "outside", .. words, "seed=" + seed.ToString(CultureInfo.InvariantCulture)])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        Assert.Equal("ready", process.StandardOutput.ReadLine());
        return new Cable(process, folder);
    }

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
