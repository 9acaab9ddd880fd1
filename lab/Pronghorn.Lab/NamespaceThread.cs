// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Runtime.ExceptionServices;
using System.Threading;
using Microsoft.Win32.SafeHandles;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Lab;

/// <summary>Runs code in a network namespace: on a thread that enters it, runs, and ends.</summary>
public static class NamespaceThread
{
    /// <summary>Runs code in a namespace and waits for it.</summary>
    /// <param name="place">The namespace.</param>
    /// <param name="code">What to run; sockets that it opens stay in the namespace.</param>
    /// <returns>What the code returns; what it throws is thrown here.</returns>
    /// <exception cref="LabException">The namespace cannot be entered.</exception>
    public static T Run<T>(NetworkNamespace place, Func<T> code)
    {
        ArgumentNullException.ThrowIfNull(place);
        ArgumentNullException.ThrowIfNull(code);
        T? result = default;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                Enter(place);
                result = code();
            }
#pragma warning disable CA1031 // It is thrown again, on the thread that waits.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                failure = ExceptionDispatchInfo.Capture(exception);
            }
        });
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result!;
    }

    /// <summary>Runs code that returns nothing in a namespace and waits for it.</summary>
    /// <param name="place">The namespace.</param>
    /// <param name="code">What to run.</param>
    /// <exception cref="LabException">The namespace cannot be entered.</exception>
    public static void Run(NetworkNamespace place, Action code)
    {
        ArgumentNullException.ThrowIfNull(code);
        _ = Run(place, () =>
        {
            code();
            return true;
        });
    }

    private static void Enter(NetworkNamespace place)
    {
        using SafeFileHandle file = File.OpenHandle(place.Path);
        int result = Libc.EnterNetworkNamespace((int)file.DangerousGetHandle());
        if (result < 0)
        {
            throw new LabException($"setns to {place.Name} failed: {Errno.Describe(result)}; this needs root");
        }
    }
}
