// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Threading;
using Microsoft.Win32.SafeHandles;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;

namespace Pronghorn.LoadBalancer.DataPlane;

/// <summary>The network namespaces of this machine, as far as a process or a name in /run/netns leads to them.</summary>
internal static class NetworkNamespaces
{
    /// <summary>
    /// Does something in each of some namespaces, on a thread that enters one after the other and ends: a thread that has entered
    /// a namespace must not go back to the pool.
    /// </summary>
    /// <param name="wanted">Cookies of the namespaces; those that were found are removed.</param>
    /// <param name="action">What to do inside.</param>
    public static void RunIn(ISet<ulong> wanted, Action action)
    {
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                RunHere(wanted, action);
            }
#pragma warning disable CA1031 // It is thrown again, on the thread that waits.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                failure = exception;
            }
        })
        {
            Name = "namespaces",
        };
        thread.Start();
        thread.Join();
        if (failure is not null)
        {
            throw new IOException($"a network namespace could not be worked on: {failure.Message}", failure);
        }
    }

    private static void RunHere(ISet<ulong> wanted, Action action)
    {
        HashSet<long> seen = [];
        foreach (string path in Candidates())
        {
            if (wanted.Count == 0)
            {
                return;
            }

            // Those of processes that end meanwhile are not there any more.
            long inode = Libc.GetInode(path);
            if (inode < 0 || !seen.Add(inode) || !TryEnter(path))
            {
                continue;
            }

            if (NamespaceCookie.TryGet(out ulong cookie) == 0 && wanted.Remove(cookie))
            {
                action();
            }
        }
    }

    private static bool TryEnter(string path)
    {
        try
        {
            using SafeFileHandle file = File.OpenHandle(path);
            return Libc.EnterNetworkNamespace((int)file.DangerousGetHandle()) == 0;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static IEnumerable<string> Candidates()
    {
        yield return "/proc/self/ns/net";
        foreach (string folder in (string[])["/run/netns", "/run/docker/netns"])
        {
            foreach (string name in Directory.Exists(folder) ? Directory.GetFiles(folder) : [])
            {
                yield return name;
            }
        }

        foreach (string process in Directory.GetDirectories("/proc"))
        {
            if (char.IsAsciiDigit(Path.GetFileName(process)[0]))
            {
                yield return process + "/ns/net";
            }
        }
    }
}
