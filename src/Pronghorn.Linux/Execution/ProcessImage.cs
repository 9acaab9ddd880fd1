// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;

namespace Pronghorn.Linux.Execution;

/// <summary>Replaces the running program by another one, for command lines that only prepare an environment.</summary>
/// <remarks>Not for use inside an application: it allocates, and it never returns when it succeeds.</remarks>
public static unsafe partial class ProcessImage
{
    private const int SigPipe = 13;

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

    [LibraryImport("libc", EntryPoint = "signal")]
    private static partial nint Signal(int number, nint handler);
}
