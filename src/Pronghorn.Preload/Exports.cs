// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Posix;

namespace Pronghorn.Preload;

/// <summary>What the preloaded library calls. It serialises the calls; none blocks.</summary>
internal static unsafe partial class Exports
{
    private static SocketLayer s_layer = null!;

    /// <summary>Starts the stack of this process and hands its functions over.</summary>
    /// <returns>0, or -1 with the reason in the request.</returns>
    [UnmanagedCallersOnly(EntryPoint = "pronghorn_core_start")]
    public static int Start(StartRequest* request, CoreTable* table)
    {
        try
        {
            SocketLayer? layer = Core.Start(request);
            if (layer is null)
            {
                return -1;
            }

            s_layer = layer;
            FillTable(table);
            return 0;
        }
#pragma warning disable CA1031 // Whatever is wrong, the program must go on on the kernel's path.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            Core.Fail(request, "the stack did not start: " + failure.Message, "See what `pronghorn doctor` finds.");
            return -1;
        }
    }

    private static void FillTable(CoreTable* table)
    {
        *table = new CoreTable
        {
            Poll = &Poll,
            Receive = &Receive,
            ReceiveVector = &ReceiveVector,
            Send = &Send,
            SendVector = &SendVector,
            Adopt = &Adopt,
            Activate = &Activate,
            Connect = &Connect,
            Listen = &Listen,
            Accept = &Accept,
            Shutdown = &Shutdown,
            Close = &Close,
            Duplicate = &Duplicate,
            GetName = &GetName,
            GetOption = &GetOption,
            SetOption = &SetOption,
            GetFlags = &GetFlags,
            SetFlags = &SetFlags,
            InputOutputControl = &InputOutputControl,
            Timeout = &Timeout,
            EpollControl = &EpollControl,
            EpollWait = &EpollWait,
            EpollBlock = &EpollBlock,
            EpollNested = &EpollNested,
            PollDescriptors = &PollDescriptors,
            PollBlock = &PollBlock,
            Finish = &Finish,
            AllocatedBytes = &AllocatedBytes,
        };
    }

    [UnmanagedCallersOnly]
    private static void Poll(RoundResult* result)
    {
        PollRound round = default;
        s_layer.Poll(ref round);
        Give(round, result);
    }

    [UnmanagedCallersOnly]
    private static void Finish() => s_layer.Finish();

    // All threads: nothing may allocate, whichever it is.
    [UnmanagedCallersOnly]
    private static long AllocatedBytes() => GC.GetTotalAllocatedBytes(precise: false);

    private static void Give(in PollRound round, RoundResult* result)
    {
        result->Now = round.Now.Nanoseconds;
        result->NextDeadline = round.NextDeadline.Nanoseconds;
        result->Received = round.Received;
        result->Events = round.Events;
        result->Dispatched = round.Dispatched;
        result->Unsent = round.Unsent;
    }

    private static int Clamp(ulong length) => (int)Math.Min(length, int.MaxValue);
}
