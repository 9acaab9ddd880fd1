// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Files;

/// <summary>Why a file is not to be had, for messages that name it already: .NET's own name it once more.</summary>
public static class FileFailure
{
    // What is no error number of the kernel's is one of .NET's, which has other bits too.
    private const int LastNumber = 4095;

    /// <summary>The reason alone, in the kernel's words, as "Permission denied".</summary>
    /// <param name="path">The file or folder that was to be opened.</param>
    /// <param name="failure">What File or Directory threw: IOException or UnauthorizedAccessException.</param>
    public static string Describe(string path, Exception failure)
    {
        ArgumentNullException.ThrowIfNull(failure);
        return failure switch
        {
            FileNotFoundException or DirectoryNotFoundException => Errno.Describe(Errno.NoEntry),
            PathTooLongException => Errno.Describe(Errno.NameTooLong),

            // .NET takes what is a folder for what may not be read.
            UnauthorizedAccessException => Errno.Describe(Directory.Exists(path) ? Errno.IsDirectory : Errno.AccessDenied),
            { HResult: > 0 and <= LastNumber } => Errno.Describe(failure.HResult),
            _ => failure.Message,
        };
    }
}
