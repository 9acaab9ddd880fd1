// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;

namespace Pronghorn.Tidy.Tests;

/// <summary>The tree that the tests were built from: everything but what a build writes.</summary>
public sealed class RepositoryTree
{
    private const string RootMark = "Pronghorn.slnx";

    private static readonly string[] s_textExtensions =
    [
        ".cs", ".c", ".h", ".def", ".csproj", ".props", ".targets", ".slnx", ".json", ".md", ".sh", ".yml", ".yaml", ".txt",
        ".editorconfig", ".gitignore", ".service", ".pkt",
    ];

    private static readonly string[] s_skippedDirectories = [".git", "artifacts", "bin", "obj", "TestResults", ".vs", "node_modules"];

    public RepositoryTree(IReadOnlyList<SourceFile> files) => Files = files;

    public IReadOnlyList<SourceFile> Files { get; }

    public IEnumerable<SourceFile> Projects => Files.Where(file => file.IsProject);

    public static RepositoryTree Load()
    {
        string root = FindRoot(AppContext.BaseDirectory);
        IEnumerable<SourceFile> files = Walk(root)
            .Where(IsText)
            .Order(StringComparer.Ordinal)
            .Select(path => SourceFile.Read(root, path));
        return new RepositoryTree([.. files]);
    }

    /// <summary>
    /// The nearest directory upward with the solution. Builds that put their output elsewhere name the root in PRONGHORN_ROOT,
    /// or run the tests from inside the tree.
    /// </summary>
    private static string FindRoot(string start)
    {
        string? named = Environment.GetEnvironmentVariable("PRONGHORN_ROOT");
        string?[] starts = [named, start, Directory.GetCurrentDirectory(), BuiltFrom()];
        foreach (string? candidate in starts)
        {
            for (string? path = candidate; !string.IsNullOrEmpty(path); path = Path.GetDirectoryName(path))
            {
                if (File.Exists(Path.Combine(path, RootMark)))
                {
                    return path;
                }
            }
        }

        throw new DirectoryNotFoundException($"No {RootMark} at or above {start}; set PRONGHORN_ROOT to the tree.");
    }

    /// <summary>The directory of this file when it was compiled; empty if the compiler was told to hide it.</summary>
    private static string? BuiltFrom([System.Runtime.CompilerServices.CallerFilePath] string path = "") =>
        Path.GetDirectoryName(path);

    private static IEnumerable<string> Walk(string directory)
    {
        foreach (string file in Directory.EnumerateFiles(directory))
        {
            yield return file;
        }

        foreach (string child in Directory.EnumerateDirectories(directory))
        {
            bool isLink = new DirectoryInfo(child).LinkTarget is not null;
            if (isLink || s_skippedDirectories.Contains(Path.GetFileName(child)))
            {
                continue;
            }

            foreach (string file in Walk(child))
            {
                yield return file;
            }
        }
    }

    /// <summary>By the name's end; a name without one (run, pronghorn) is text if it starts like a script.</summary>
    private static bool IsText(string path)
    {
        string extension = Path.GetExtension(path);
        if (extension.Length > 0)
        {
            return s_textExtensions.Contains(extension);
        }

        using FileStream stream = File.OpenRead(path);
        return stream.ReadByte() == '#' && stream.ReadByte() == '!';
    }
}
