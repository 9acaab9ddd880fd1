// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;

namespace Pronghorn.Cli.Hosting;

/// <summary>Finds the native libraries: beside an installed command line, or in the tree it was built from.</summary>
internal static class InstallLayout
{
    internal const string PreloadName = "libpronghorn.so";
    internal const string CoreName = "libpronghorn-core.so";

    /// <summary>Directory that overrides the search.</summary>
    internal const string DirectoryVariable = "PRONGHORN_LIBRARY_DIRECTORY";

    /// <summary>The directory that holds both libraries, or null where none does.</summary>
    internal static string? FindLibraryDirectory()
    {
        foreach (string candidate in Candidates())
        {
            if (File.Exists(Path.Combine(candidate, PreloadName)) && File.Exists(Path.Combine(candidate, CoreName)))
            {
                return Path.GetFullPath(candidate);
            }
        }

        return null;
    }

    /// <summary>The directory that holds both libraries; an error that says where it was looked for otherwise.</summary>
    internal static string RequireLibraryDirectory() =>
        FindLibraryDirectory() ?? throw new CommandException(
            $"{PreloadName} and {CoreName} were not found in {string.Join(", ", Candidates())}. "
            + $"Build them with eng/build.sh, or set {DirectoryVariable}.");

    /// <summary>The directories searched, in their order.</summary>
    internal static IEnumerable<string> Candidates()
    {
        string? stated = Environment.GetEnvironmentVariable(DirectoryVariable);
        if (!string.IsNullOrEmpty(stated))
        {
            yield return stated;
            yield break;
        }

        for (DirectoryInfo? up = new(AppContext.BaseDirectory); up is not null; up = up.Parent)
        {
            if (up.Name == "artifacts")
            {
                yield return Path.Combine(up.FullName, "lib");
            }
        }

        yield return "/usr/local/lib/pronghorn";
        yield return "/usr/lib/pronghorn";
    }
}
