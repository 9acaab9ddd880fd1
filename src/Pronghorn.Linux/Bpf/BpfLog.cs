// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Bpf;

/// <summary>
/// Takes what libbpf would print, for the error that it explains. libbpf has one print function for the process, so one
/// object at a time is worked on.
/// </summary>
internal static unsafe class BpfLog
{
    private const int LongestMessage = 4096;
    private const int MostMessages = 64;
    private const int VerifierLines = 8;
    private const int LevelWarning = 0;

    private static readonly Lock s_lock = new();
    private static readonly List<string> s_messages = [];
    private static int s_thread;

    /// <summary>Does something with libbpf.</summary>
    /// <param name="work">What to do; returns libbpf's result.</param>
    /// <param name="warnings">What libbpf said meanwhile.</param>
    public static int Capture(Func<int> work, out string warnings)
    {
        lock (s_lock)
        {
            s_messages.Clear();
            s_thread = Environment.CurrentManagedThreadId;
            delegate* unmanaged<int, byte*, nint, int> function = &Print;
            _ = LibBpf.SetPrint((nint)function);
            int result = work();
            _ = LibBpf.SetPrint(0);
            warnings = string.Join('\n', s_messages);
            return result;
        }
    }

    /// <summary>Has libbpf print nothing, but for what another thread captures just now.</summary>
    public static void Silence()
    {
        lock (s_lock)
        {
            _ = LibBpf.SetPrint(0);
        }
    }

    /// <summary>The last lines of the verifier's log that say something, without its statistics and register states.</summary>
    public static string LastLines(ReadOnlySpan<byte> log)
    {
        int end = log.IndexOf((byte)0);
        string text = Encoding.UTF8.GetString(end < 0 ? log : log[..end]);
        List<string> lines = [];
        foreach (string line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            bool isStatistic = line.StartsWith("processed ", StringComparison.Ordinal)
                || line.StartsWith("verification time", StringComparison.Ordinal)
                || line.StartsWith("stack depth", StringComparison.Ordinal);
            if (!isStatistic)
            {
                lines.Add(line);
            }
        }

        return string.Join('\n', lines[Math.Max(0, lines.Count - VerifierLines)..]);
    }

    /// <summary>libbpf_print_fn_t. A va_list argument is passed as a pointer on x86-64 and arm64 alike.</summary>
    [UnmanagedCallersOnly]
    private static int Print(int level, byte* format, nint arguments)
    {
        // Another thread's work with libbpf, such as the steering program's, is not what is captured.
        if (level != LevelWarning || Environment.CurrentManagedThreadId != s_thread || s_messages.Count >= MostMessages)
        {
            return 0;
        }

        byte* buffer = stackalloc byte[LongestMessage];
        int length = Libc.FormatText(buffer, LongestMessage, format, arguments);
        if (length > 0)
        {
            var message = new ReadOnlySpan<byte>(buffer, Math.Min(length, LongestMessage - 1));
            s_messages.Add(Encoding.UTF8.GetString(message).TrimEnd());
        }

        return 0;
    }
}
