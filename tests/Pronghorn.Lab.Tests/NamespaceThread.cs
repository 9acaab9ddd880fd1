// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Runtime.ExceptionServices;
using System.Threading;
using Microsoft.Win32.SafeHandles;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Lab.Tests;

/// <summary>Runs code in a network namespace: on a thread that enters it, runs, and ends.</summary>
internal static class NamespaceThread
{
    public static T Run<T>(NetworkNamespace place, Func<T> code)
    {
        T? result = default;
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                Enter(place);
                result = code();
            }
            catch (Exception exception)
            {
                failure = ExceptionDispatchInfo.Capture(exception);
            }
        });
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result!;
    }

    private static void Enter(NetworkNamespace place)
    {
        using SafeFileHandle file = File.OpenHandle(place.Path);
        int result = Libc.EnterNetworkNamespace((int)file.DangerousGetHandle());
        if (result < 0)
        {
            throw new IOException($"setns to {place.Name} failed with {result}.");
        }
    }
}
