// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Execution;

/// <summary>Replaces the running program by another one, for command lines that only prepare an environment.</summary>
/// <remarks>Not for use inside an application: it allocates, and it never returns when it succeeds.</remarks>
public static unsafe partial class ProcessImage
{
    private const int SigPipe = 13;
    private const int OpenFiles = 7; // RLIMIT_NOFILE

    /// <summary>execve(2): the process keeps its id, its files and its terminal.</summary>
    /// <param name="path">File of the program.</param>
    /// <param name="arguments">Its arguments; the first is the name it is called by.</param>
    /// <param name="environment">Its environment, as "NAME=value".</param>
    /// <returns>Only on failure: the negated errno.</returns>
    public static int Replace(string path, ReadOnlySpan<string> arguments, ReadOnlySpan<string> environment)
    {
        // The .NET runtime ignores SIGPIPE, and an ignored signal survives exec: a shell pipeline behind the new program
        // would not end when its reader goes away. Handlers do not survive and need no care.
        Signal(SigPipe, 0);
        RestoreOpenFileLimit();
        nint* argumentBlock = CreateBlock(arguments);
        nint* environmentBlock = CreateBlock(environment);
        nint file = Marshal.StringToCoTaskMemUTF8(path);
        _ = Execute((byte*)file, argumentBlock, environmentBlock);
        int error = Marshal.GetLastSystemError();
        Marshal.FreeCoTaskMem(file);
        FreeBlock(argumentBlock);
        FreeBlock(environmentBlock);
        return -error;
    }

    // The .NET runtime raises the soft limit to the hard one at its start; what was before, the parent still shows. A
    // program with select(2) or an array by descriptor number would otherwise behave differently under us.
    private static void RestoreOpenFileLimit()
    {
        if (Libc.GetResourceLimit(OpenFiles, out ResourceLimit limit) == 0
            && TryReadSoftLimit(GetParentId(), out ulong soft) && soft < limit.Soft)
        {
            limit.Soft = soft;
            _ = Libc.SetResourceLimit(OpenFiles, limit);
        }
    }

    private static bool TryReadSoftLimit(int process, out ulong soft)
    {
        const string Name = "Max open files";
        soft = 0;
        try
        {
            foreach (string line in File.ReadLines($"/proc/{process}/limits"))
            {
                if (line.StartsWith(Name, StringComparison.Ordinal))
                {
                    string[] words = line[Name.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
                    return words.Length > 0
                        && ulong.TryParse(words[0], NumberStyles.None, CultureInfo.InvariantCulture, out soft);
                }
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // Without the parent's limit the raised one stays.
        }

        return false;
    }

    // An array of C strings that a null pointer ends.
    private static nint* CreateBlock(ReadOnlySpan<string> words)
    {
        nint* block = (nint*)NativeMemory.AllocZeroed((nuint)words.Length + 1, (nuint)sizeof(nint));
        for (int i = 0; i < words.Length; i++)
        {
            block[i] = Marshal.StringToCoTaskMemUTF8(words[i]);
        }

        return block;
    }

    private static void FreeBlock(nint* block)
    {
        for (nint* word = block; *word != 0; word++)
        {
            Marshal.FreeCoTaskMem(*word);
        }

        NativeMemory.Free(block);
    }

    [LibraryImport("libc", EntryPoint = "execve")]
    private static partial int Execute(byte* path, nint* arguments, nint* environment);

    [LibraryImport("libc", EntryPoint = "getppid")]
    private static partial int GetParentId();

    [LibraryImport("libc", EntryPoint = "signal")]
    private static partial nint Signal(int number, nint handler);
}
