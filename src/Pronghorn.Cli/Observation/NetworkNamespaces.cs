// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;

namespace Pronghorn.Cli.Observation;

/// <summary>Tells the network namespaces of processes apart (namespaces(7), /proc/PID/ns/net).</summary>
internal static class NetworkNamespaces
{
    /// <summary>
    /// Whether a process is known to be in another network namespace than this one. False where it cannot be told, which takes
    /// the right to trace it: what may be here is shown.
    /// </summary>
    internal static bool IsElsewhere(int pid) =>
        Identity($"/proc/{pid}/ns/net") is string other && Identity("/proc/self/ns/net") is string own && other != own;

    private static string? Identity(string path)
    {
        try
        {
            return new FileInfo(path).LinkTarget;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
