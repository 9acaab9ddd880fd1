// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;

namespace Pronghorn.Lab.Tests;

/// <summary>Which stack a program runs on.</summary>
public enum Side
{
    /// <summary>The kernel's.</summary>
    Kernel,

    /// <summary>Pronghorn's, preloaded.</summary>
    Pronghorn,
}

/// <summary>Where the build put the libraries, and how a program is started on them.</summary>
internal static class Product
{
    private const string Preload = "libpronghorn.so";

    /// <summary>The directory of the libraries: PRONGHORN_LIBRARY_PATH (the directory or the core in it), or artifacts/lib.</summary>
    public static string LibraryDirectory { get; } = FindLibraries();

    /// <summary>How to start a program. On Pronghorn it ends at once when it cannot have it.</summary>
    public static LabProcessOptions Options(Side side, string? workingDirectory = null)
    {
        Dictionary<string, string?> environment = new() { ["PRONGHORN_LIBRARY_PATH"] = null };
        if (side == Side.Pronghorn)
        {
            environment["LD_PRELOAD"] = Path.Combine(LibraryDirectory, Preload);
            environment["PRONGHORN_INTERFACE"] = TwoHosts.Interface;
            environment["PRONGHORN_STRICT"] = "1";
        }

        return new LabProcessOptions { Environment = environment, WorkingDirectory = workingDirectory };
    }

    /// <summary>Whether the long tests run too: PRONGHORN_LONG_TESTS=1.</summary>
    public static bool RunsLongTests => Environment.GetEnvironmentVariable("PRONGHORN_LONG_TESTS") == "1";

    private static string FindLibraries()
    {
        string? path = Environment.GetEnvironmentVariable("PRONGHORN_LIBRARY_PATH");
        if (!string.IsNullOrEmpty(path))
        {
            return Directory.Exists(path) ? path : Path.GetDirectoryName(path)!;
        }

        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (File.Exists(Path.Combine(at.FullName, "Pronghorn.slnx")))
            {
                return Path.Combine(at.FullName, "artifacts", "lib");
            }
        }

        throw new FileNotFoundException($"Neither PRONGHORN_LIBRARY_PATH nor a tree has {Preload}.");
    }
}
