// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;

namespace Pronghorn.Cli.Hosting;

/// <summary>Tells whether the loader would honour LD_PRELOAD for a program.</summary>
internal static class Preloadability
{
    private const int ScriptsDeep = 4; // the kernel gives up at about as many

    /// <summary>Throws an error that says why a program cannot be put on the stack; returns where it can.</summary>
    /// <param name="path">File of the program.</param>
    /// <param name="privileged">Whether the caller is root, for whom set-user-ID programs of root change nothing.</param>
    internal static void Require(string path, bool privileged)
    {
        string current = path;
        for (int depth = 0; depth < ScriptsDeep; depth++)
        {
            RequireNoChangeOfIdentity(current, privileged);
            switch (Kind(current, out string? interpreter))
            {
                case ProgramKind.Dynamic:
                    return;
                case ProgramKind.Static:
                    throw new CommandException(
                        $"{current} is linked statically: no library can be preloaded into it. "
                        + "Use a dynamically linked build (for Go programs there is none).");
                case ProgramKind.Script when interpreter is not null:
                    current = interpreter;
                    break;
                default:
                    throw new CommandException(
                        $"{current} is neither a 64-bit ELF program nor a script of this machine");
            }
        }
    }

    private static ProgramKind Kind(string path, out string? interpreter)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
            return ElfFile.Inspect(file, out interpreter);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"{path} cannot be read: {failure.Message}");
        }
    }

    private static void RequireNoChangeOfIdentity(string path, bool privileged)
    {
        UnixFileMode mode;
        try
        {
            mode = File.GetUnixFileMode(path);
        }
        catch (IOException failure)
        {
            throw new CommandException($"{path}: {failure.Message}");
        }

        bool changesUser = (mode & UnixFileMode.SetUser) != 0 && !privileged;
        bool changesGroup = (mode & UnixFileMode.SetGroup) != 0;
        if (changesUser || changesGroup)
        {
            throw new CommandException(
                $"{path} is {(changesUser ? "set-user-ID" : "set-group-ID")}: the loader ignores LD_PRELOAD for it (ld.so(8)). "
                + "Start it as the user or group that it changes to.");
        }
    }
}
