// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using Pronghorn.Lab;

namespace Pronghorn.Preload.Tests;

/// <summary>The library under test: artifacts/lib of the tree, or what PRONGHORN_LIBRARY_PATH names.</summary>
internal static class PreloadLibrary
{
    public static string Directory { get; } = Find();

    public static string Path { get; } = System.IO.Path.Combine(Directory, "libpronghorn.so");

    /// <summary>The environment of a program on the stack.</summary>
    public static Dictionary<string, string?> Environment(bool strict = true) => new()
    {
        ["LD_PRELOAD"] = Path,
        ["PRONGHORN_LIBRARY_PATH"] = null,
        ["PRONGHORN_INTERFACE"] = TwoHosts.Interface,
        ["PRONGHORN_STRICT"] = strict ? "1" : null,
    };

    private static string Find()
    {
        string? stated = System.Environment.GetEnvironmentVariable("PRONGHORN_LIBRARY_PATH");
        if (!string.IsNullOrEmpty(stated))
        {
            return System.IO.Directory.Exists(stated) ? stated : System.IO.Path.GetDirectoryName(stated)!;
        }

        string? at = AppContext.BaseDirectory;
        while (at is not null && !File.Exists(System.IO.Path.Combine(at, "Pronghorn.slnx")))
        {
            at = System.IO.Path.GetDirectoryName(at);
        }

        return System.IO.Path.Combine(
            at ?? throw new InvalidOperationException("no tree around the tests: set PRONGHORN_LIBRARY_PATH"), "artifacts", "lib");
    }
}
