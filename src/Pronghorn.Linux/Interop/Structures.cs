// SPDX-License-Identifier: Apache-2.0
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Pronghorn.Linux.Interop;

/// <summary>struct pollfd of poll(2).</summary>
[StructLayout(LayoutKind.Sequential)]
public struct PollDescriptor
{
    /// <summary>The descriptor; a negative one is ignored.</summary>
    public int Descriptor;

    /// <summary>Events asked for: POLLIN 1, POLLOUT 4.</summary>
    public short Events;

    /// <summary>Events that happened; POLLERR 8, POLLHUP 0x10 and POLLNVAL 0x20 come unasked.</summary>
    public short Returned;
}

/// <summary>struct rlimit64 of prlimit(2).</summary>
[StructLayout(LayoutKind.Sequential)]
public struct ResourceLimit
{
    /// <summary>No limit (RLIM_INFINITY).</summary>
    public const ulong Infinity = ulong.MaxValue;

    /// <summary>The limit in force.</summary>
    public ulong Soft;

    /// <summary>How far a process may raise it by itself.</summary>
    public ulong Hard;
}

/// <summary>struct statx (statx(2)), which is the same on every architecture; only what is looked at.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal struct FileStatus
{
    private const int TypeMask = 0xf000; // S_IFMT

    [FieldOffset(16)]
    public uint Links;

    [FieldOffset(20)]
    public uint Owner;

    [FieldOffset(28)]
    public ushort Mode;

    [FieldOffset(40)]
    public ulong Size;

    public readonly bool IsRegular => (Mode & TypeMask) == 0x8000;

    public readonly bool IsDirectory => (Mode & TypeMask) == 0x4000;

    /// <summary>Whether its group or everybody may change it.</summary>
    public readonly bool IsWritableByOthers => (Mode & 0x12) != 0; // S_IWGRP, S_IWOTH

    /// <summary>In such a directory only a file's owner may remove or replace it (S_ISVTX).</summary>
    public readonly bool IsSticky => (Mode & 0x200) != 0;
}

/// <summary>struct timespec.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TimeSpecification
{
    public long Seconds;
    public long Nanoseconds;
}

/// <summary>
/// struct epoll_event: packed to 12 bytes on x86-64 and padded to 16 elsewhere, so it is kept as 16 bytes and written
/// at the offset that the architecture wants.
/// </summary>
[InlineArray(4)]
internal struct EpollEvent
{
    private uint _first;

    public static EpollEvent Create(uint events, ulong data)
    {
        EpollEvent item = default;
        int offset = (ArchitectureConstants.EpollEventSizeOn(RuntimeInformation.ProcessArchitecture) / sizeof(uint)) - 2;
        item[0] = events;
        item[offset] = (uint)data;
        item[offset + 1] = (uint)(data >> 32);
        return item;
    }
}

/// <summary>struct ifreq of netdevice(7): a name and a union of which the first bytes are used.</summary>
[StructLayout(LayoutKind.Explicit, Size = 40)]
internal struct InterfaceRequest
{
    [FieldOffset(0)]
    public InterfaceName Name;

    [FieldOffset(16)]
    public int Integer;

    [FieldOffset(16)]
    public short Flags;

    [FieldOffset(16)]
    public ushort HardwareFamily;

    [FieldOffset(18)]
    public HardwareAddress Hardware;

    [FieldOffset(16)]
    public nint Pointer;
}

/// <summary>The first six bytes of sockaddr.sa_data.</summary>
[InlineArray(6)]
internal struct HardwareAddress
{
    private byte _first;
}

/// <summary>struct ethtool_drvinfo.</summary>
[StructLayout(LayoutKind.Explicit, Size = 196)]
internal struct DriverInformation
{
    [FieldOffset(0)]
    public uint Command;

    [FieldOffset(4)]
    public DriverName Driver;
}

/// <summary>ethtool_drvinfo.driver.</summary>
[InlineArray(32)]
internal struct DriverName
{
    private byte _first;
}

/// <summary>struct ethtool_channels.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct DeviceChannels
{
    public uint Command;
    public uint MaximumReceive;
    public uint MaximumTransmit;
    public uint MaximumOther;
    public uint MaximumCombined;
    public uint Receive;
    public uint Transmit;
    public uint Other;
    public uint Combined;
}

/// <summary>struct sockaddr_xdp.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct XdpAddress
{
    public ushort Family;
    public ushort Flags;
    public int InterfaceIndex;
    public int QueueId;
    public int SharedUmemDescriptor;
}

/// <summary>struct sockaddr_nl.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NetlinkAddress
{
    public ushort Family;
    public ushort Padding;
    public uint PortId;
    public uint Groups;
}

/// <summary>struct xdp_umem_reg, without the later tx_metadata_len: the kernel takes both lengths.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct UmemRegistration
{
    public ulong Address;
    public ulong Length;
    public uint ChunkSize;
    public uint Headroom;
    public uint Flags;
    public uint Padding;
}

/// <summary>struct xdp_ring_offset.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RingOffsets
{
    public ulong Producer;
    public ulong Consumer;
    public ulong Descriptors;
    public ulong Flags;
}

/// <summary>struct xdp_mmap_offsets.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct MapOffsets
{
    public RingOffsets Receive;
    public RingOffsets Transmit;
    public RingOffsets Fill;
    public RingOffsets Completion;
}

/// <summary>struct xdp_desc.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct XdpDescriptor
{
    public ulong Address;
    public uint Length;
    public uint Options;
}

/// <summary>struct xdp_statistics: what the kernel counted for one AF_XDP socket.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct XskKernelStatistics
{
    /// <summary>Frames dropped for other reasons, such as being longer than a frame.</summary>
    public ulong ReceiveDropped;

    /// <summary>Receive descriptors that were invalid.</summary>
    public ulong ReceiveInvalidDescriptors;

    /// <summary>Transmit descriptors that were invalid.</summary>
    public ulong TransmitInvalidDescriptors;

    /// <summary>Frames dropped because the receive ring was full.</summary>
    public ulong ReceiveRingFull;

    /// <summary>Frames dropped because the fill ring was empty.</summary>
    public ulong FillRingEmpty;

    /// <summary>Times that the kernel found the transmit ring empty.</summary>
    public ulong TransmitRingEmpty;
}
