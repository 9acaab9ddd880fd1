// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;

namespace Pronghorn.LoadBalancer.Tests;

/// <summary>
/// Cases and answers recorded from Kubernetes, which are not part of the project: in the directory that PRONGHORN_CASES names, or
/// in "shared/cases" beside the project. Tests that use them have material of their own, too, so that they never test nothing.
/// </summary>
internal static class Recordings
{
    /// <summary>The file, if it is found.</summary>
    internal static IEnumerable<string> Find(string name)
    {
        if (FindDirectory() is { } directory && File.Exists(Path.Combine(directory, name)))
        {
            yield return Path.Combine(directory, name);
        }
    }

    /// <summary>The files of a folder with an ending, if they are found.</summary>
    internal static IEnumerable<string> FindAll(string folder, string ending)
    {
        string path = Path.Combine(FindDirectory() ?? "", folder);
        return Directory.Exists(path) ? Directory.EnumerateFiles(path, "*" + ending) : [];
    }

    private static string? FindDirectory()
    {
        if (Environment.GetEnvironmentVariable("PRONGHORN_CASES") is { Length: > 0 } named)
        {
            return named;
        }

        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Pronghorn.slnx")))
        {
            folder = folder.Parent;
        }

        string? beside = folder?.Parent is { } parent ? Path.Combine(parent.FullName, "shared", "cases") : null;
        return Directory.Exists(beside) ? beside : null;
    }
}
