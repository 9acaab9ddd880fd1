// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;

namespace Pronghorn.Preload;

/// <summary>Version of native/preload/abi.h that this assembly speaks.</summary>
internal static class Abi
{
    public const int Version = 6;

    /// <summary>PRONGHORN_MOST_HELD.</summary>
    public const int MostHeld = 128;
}

/// <summary>struct pronghorn_kernel.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct KernelTable
{
    public delegate* unmanaged<long> Now;
    public delegate* unmanaged<int, void*, uint, int> Bind;
    public delegate* unmanaged<int, void*, uint*, int, int> Accept;
    public delegate* unmanaged<int, void*, uint*, int> GetName;
    public delegate* unmanaged<int, int, int, void*, uint*, int> GetOption;
    public delegate* unmanaged<int, int, int, void*, uint, int> SetOption;
    public delegate* unmanaged<int, int, long, int> Control;
    public delegate* unmanaged<int, int> Close;
    public delegate* unmanaged<int> CreatePlaceholder;
    public delegate* unmanaged<int, int, int, uint, ulong, int> EpollControl;
    public delegate* unmanaged<int> CreateEvent;
    public delegate* unmanaged<int, int> SignalEvent;
    public delegate* unmanaged<uint, int> CountConnections;
    public delegate* unmanaged<int, int, void> SetClass;
    public delegate* unmanaged<int, int> GetClass;
    public delegate* unmanaged<byte*, int, void> Tell;
}

/// <summary>struct pronghorn_start.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct StartRequest
{
    public int Abi;
    public int Descriptors;
    public ulong InternalData;
    public uint Address;
    public uint IsPeer;
    public byte* Interface;
    public KernelTable* Kernel;
    public long* Counters;
    public byte* Error;
    public int ErrorLength;
    public fixed int WaitDescriptors[2];
    public int HeldCount;
    public fixed int Held[Preload.Abi.MostHeld];
}

/// <summary>struct pronghorn_round.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RoundResult
{
    public long Now;
    public long NextDeadline;
    public int Received;
    public int Events;
    public uint Dispatched;
    public int Unsent;
}

/// <summary>struct iovec.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct BufferVector
{
    public byte* Base;
    public nuint Length;
}

/// <summary>struct pronghorn_core: the order is that of abi.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CoreTable
{
    public delegate* unmanaged<RoundResult*, void> Poll;
    public delegate* unmanaged<int, byte*, ulong, int, long> Receive;
    public delegate* unmanaged<int, BufferVector*, int, ulong, int, long> ReceiveVector;
    public delegate* unmanaged<int, byte*, ulong, int, int, long> Send;
    public delegate* unmanaged<int, BufferVector*, int, ulong, int, int, long> SendVector;
    public delegate* unmanaged<int, int> Adopt;
    public delegate* unmanaged<int, int> Activate;
    public delegate* unmanaged<int, byte*, uint, int, int> Connect;
    public delegate* unmanaged<int, int, int> Listen;
    public delegate* unmanaged<int, byte*, uint*, int, int> Accept;
    public delegate* unmanaged<int, int, int> Shutdown;
    public delegate* unmanaged<int, int, int> Close;
    public delegate* unmanaged<int, int, int> Duplicate;
    public delegate* unmanaged<int, byte*, uint*, int, int> GetName;
    public delegate* unmanaged<int, int, int, byte*, uint*, int> GetOption;
    public delegate* unmanaged<int, int, int, byte*, uint, int> SetOption;
    public delegate* unmanaged<int, int> GetFlags;
    public delegate* unmanaged<int, int, int> SetFlags;
    public delegate* unmanaged<int, ulong, int*, int> InputOutputControl;
    public delegate* unmanaged<int, int, long> Timeout;
    public delegate* unmanaged<int, int, int, byte*, int> EpollControl;
    public delegate* unmanaged<int, byte*, int, RoundResult*, int> EpollWait;
    public delegate* unmanaged<int, int, void> EpollBlock;
    public delegate* unmanaged<int, void> EpollNested;
    public delegate* unmanaged<Posix.PollDescriptor*, ulong, RoundResult*, int> PollDescriptors;
    public delegate* unmanaged<int, int, void> PollBlock;
    public delegate* unmanaged<void> Finish;
    public delegate* unmanaged<long> AllocatedBytes;
}
