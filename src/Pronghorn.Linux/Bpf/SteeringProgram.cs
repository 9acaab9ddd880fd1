// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Interop;
using Pronghorn.Wire;

namespace Pronghorn.Linux.Bpf;

/// <summary>
/// The XDP program of bpf/steer.bpf.c with its maps: it gives the packets of owned local ends to AF_XDP sockets and leaves
/// all others to the kernel. It is attached by a BPF link: the kernel detaches it when the last descriptor of the link
/// is closed, hence also when the process is killed.
/// </summary>
/// <remarks>After <see cref="Load"/> no member allocates managed memory.</remarks>
public sealed unsafe partial class SteeringProgram : IDisposable
{
    private const uint FlagGeneric = 1u << 1;
    private const uint FlagNative = 1u << 2;

    private readonly int _processors;
    private readonly ulong* _counterBuffer;
    private int _program;
    private int _ownedMap;
    private int _socketMap;
    private int _counterMap;
    private int _link = -1;

    private SteeringProgram(int program, int ownedMap, int socketMap, int counterMap, int processors)
    {
        _program = program;
        _ownedMap = ownedMap;
        _socketMap = socketMap;
        _counterMap = counterMap;
        _processors = processors;
        _counterBuffer = (ulong*)NativeMemory.AllocZeroed((nuint)processors, sizeof(ulong));
    }

    /// <summary>The name that the kernel shows for this program, as in `ip link` with details or bpftool.</summary>
    public static ReadOnlySpan<byte> KernelName => "pronghorn_steer"u8;

    /// <summary>Whether the program runs behind the driver, on socket buffers.</summary>
    public bool IsGeneric { get; private set; }

    /// <summary>Attaches the program to an interface.</summary>
    /// <param name="interfaceIndex">The interface's index.</param>
    /// <param name="mode">Where to attach it.</param>
    /// <returns>
    /// 0, or a negative error number: -EBUSY or -EEXIST when another program is attached, -ENODEV without such an
    /// interface, -EOPNOTSUPP when the driver has no XDP.
    /// </returns>
    public int Attach(int interfaceIndex, XdpAttachMode mode)
    {
        int link = -Errno.NotSupported;
        if (mode != XdpAttachMode.Generic)
        {
            link = BpfSyscall.CreateXdpLink(_program, interfaceIndex, FlagNative);
        }

        bool fallBack = mode == XdpAttachMode.Automatic
            && link is < 0 and not -Errno.Busy and not -Errno.Exists and not -Errno.NoDevice
                and not -Errno.OperationNotPermitted;
        if (mode == XdpAttachMode.Generic || fallBack)
        {
            link = BpfSyscall.CreateXdpLink(_program, interfaceIndex, FlagGeneric);
            IsGeneric = link >= 0;
        }

        if (link < 0)
        {
            return link;
        }

        _link = link;
        return 0;
    }

    /// <summary>Sends the packets of a receive queue to an AF_XDP socket bound to it.</summary>
    /// <returns>0 or the negative error number.</returns>
    public int SetSocket(int queue, int socketDescriptor)
    {
        uint key = (uint)queue;
        uint value = (uint)socketDescriptor;
        return BpfSyscall.UpdateElement(_socketMap, &key, &value);
    }

    /// <summary>Owns a local end from the next packet on, or changes the flags of one that is owned.</summary>
    /// <param name="protocol">The IP protocol: 6 or 17.</param>
    /// <param name="address">A local address. The wildcard address means only itself: list each address.</param>
    /// <param name="port">The local port.</param>
    /// <param name="flags">How to steer it.</param>
    /// <returns>0, or the negative error number: -E2BIG when 131072 ends are owned.</returns>
    public int AddOwned(byte protocol, in IpAddress address, ushort port, SteeringOptions flags)
    {
        OwnedKey key = MakeKey(protocol, address, port);
        uint value = (uint)flags;
        return BpfSyscall.UpdateElement(_ownedMap, &key, &value);
    }

    /// <summary>Gives a local end back to the kernel.</summary>
    /// <returns>0, or -ENOENT when it was not owned.</returns>
    public int RemoveOwned(byte protocol, in IpAddress address, ushort port)
    {
        OwnedKey key = MakeKey(protocol, address, port);
        return BpfSyscall.DeleteElement(_ownedMap, &key);
    }

    /// <summary>Reads the counters, summed over all processors.</summary>
    /// <returns>0 or the negative error number.</returns>
    public int ReadCounters(out SteeringCounters counters)
    {
        counters = default;
        for (uint key = 0; key < SteeringCounters.Count; key++)
        {
            int result = BpfSyscall.LookupElement(_counterMap, &key, _counterBuffer);
            if (result < 0)
            {
                return result;
            }

            ulong sum = 0;
            for (int i = 0; i < _processors; i++)
            {
                sum += _counterBuffer[i];
            }

            counters[(int)key] = sum;
        }

        return 0;
    }

    /// <summary>Writes the descriptors that a forked child must close, so that the program goes with its process.</summary>
    /// <returns>How many were written.</returns>
    public int GetDescriptors(Span<int> descriptors)
    {
        ReadOnlySpan<int> own = [_link, _program, _ownedMap, _socketMap, _counterMap];
        int count = 0;
        foreach (int fd in own)
        {
            if (fd >= 0 && count < descriptors.Length)
            {
                descriptors[count++] = fd;
            }
        }

        return count;
    }

    /// <summary>Detaches and unloads.</summary>
    public void Dispose()
    {
        if (_counterMap == -1)
        {
            return;
        }

        CloseOnce(ref _link);
        CloseOnce(ref _program);
        CloseOnce(ref _ownedMap);
        CloseOnce(ref _socketMap);
        CloseOnce(ref _counterMap);
        _counterMap = -1;
        NativeMemory.Free(_counterBuffer);
    }

    /// <summary>Runs the program over a packet, as if it came in on the loopback interface: the verdict, for tests.</summary>
    internal int Run(ReadOnlySpan<byte> packet) => BpfSyscall.RunProgram(_program, packet);

    private static void CloseOnce(ref int fd)
    {
        if (fd >= 0)
        {
            _ = Libc.Close(fd);
        }

        fd = -1;
    }

    private static OwnedKey MakeKey(byte protocol, in IpAddress address, ushort port)
    {
        OwnedKey key = default;
        key.Protocol = protocol;
        BinaryPrimitives.WriteUInt16BigEndian(new Span<byte>(key.Port, 2), port);
        address.WriteIpv6(new Span<byte>(key.Address, 16));
        return key;
    }
}
