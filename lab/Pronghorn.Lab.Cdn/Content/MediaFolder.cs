// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using Microsoft.Win32.SafeHandles;

namespace Pronghorn.Lab.Cdn.Content;

/// <summary>Files that players know, from a folder that every node has: the folder's own, no folders in it and no links.</summary>
internal static class MediaFolder
{
    /// <summary>Opens a file; null when there is none of this name.</summary>
    /// <param name="folder">The folder; null: there are no files.</param>
    /// <param name="name">The file's name, without a slash.</param>
    internal static SafeFileHandle? TryOpen(string? folder, string name)
    {
        if (folder is null)
        {
            return null;
        }

        // A link may lead out of the folder.
        var file = new FileInfo(Path.Combine(folder, name));
        try
        {
            return file is { Exists: true, LinkTarget: null }
                ? File.OpenHandle(file.FullName, share: FileShare.ReadWrite | FileShare.Delete)
                : null;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>The media type of a file, by its name.</summary>
    internal static string TypeOf(string name) => Path.GetExtension(name) switch
    {
        ".flv" => "video/x-flv",
        ".m3u8" => "application/vnd.apple.mpegurl",
        ".ts" => "video/mp2t",
        ".mp4" => "video/mp4",
        _ => "application/octet-stream",
    };
}
