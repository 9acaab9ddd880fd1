// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;

namespace Pronghorn.Preload.Tests;

/// <summary>The source tree around the tests.</summary>
internal static class Tree
{
    /// <summary>The directory that holds Pronghorn.slnx.</summary>
    public static string Root { get; } = Find();

    private static string Find()
    {
        string? at = AppContext.BaseDirectory;
        while (at is not null && !File.Exists(Path.Combine(at, "Pronghorn.slnx")))
        {
            at = Path.GetDirectoryName(at);
        }

        return at ?? throw new DirectoryNotFoundException("no Pronghorn.slnx above " + AppContext.BaseDirectory);
    }
}
