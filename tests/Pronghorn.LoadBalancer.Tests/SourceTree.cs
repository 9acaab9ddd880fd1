// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Runtime.CompilerServices;

namespace Pronghorn.LoadBalancer.Tests;

/// <summary>The tree that the tests were built from.</summary>
internal static class SourceTree
{
    /// <summary>
    /// Its root: above the tests' output, or above this file where the output lies elsewhere. A deterministic build hides where
    /// its files were, so the first comes first.
    /// </summary>
    internal static string Root { get; } = Above(AppContext.BaseDirectory) ?? Above(ThisFile())
        ?? throw new InvalidOperationException("no Pronghorn.slnx above the tests; build them inside the tree");

    private static string? Above(string path)
    {
        string? folder = Path.GetDirectoryName(path);
        while (folder is not null && !File.Exists(Path.Combine(folder, "Pronghorn.slnx")))
        {
            folder = Path.GetDirectoryName(folder);
        }

        return folder;
    }

    private static string ThisFile([CallerFilePath] string path = "") => path;
}
