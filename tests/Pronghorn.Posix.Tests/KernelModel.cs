// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using Pronghorn.Stack;
using Pronghorn.Wire;

namespace Pronghorn.Posix.Tests;

/// <summary>What a kernel descriptor of the model refers to.</summary>
internal sealed class KernelFile
{
    public IpAddress Address { get; set; } = IpAddress.AnyIpv4;

    public ushort Port { get; set; }

    /// <summary>Bound to IPv6's wildcard.</summary>
    public bool IsIpv6 { get; init; }

    public int Backlog { get; set; }

    public long Flags { get; set; } = FileControl.ReadWrite;

    /// <summary>How often an eventfd was made readable.</summary>
    public int Signals { get; set; }

    /// <summary>Connections that came over the kernel's path: the ports of their peers.</summary>
    public Queue<ushort> Waiting { get; } = new();

    /// <summary>Members of an epoll set: events and data by descriptor.</summary>
    public Dictionary<int, (uint Events, ulong Data)> Members { get; } = [];
}

/// <summary>The kernel's side of one host: descriptors, names, options, epoll sets. Its time is the network's.</summary>
internal sealed class KernelModel(Clock clock) : IKernel
{
    public const int Size = 512;

    private readonly KernelFile?[] _files = new KernelFile?[Size];
    private readonly DescriptorClass[] _classes = new DescriptorClass[Size];

    public Instant Now => clock.Now;

    /// <summary>Values that differ from a fresh socket's.</summary>
    public Dictionary<(int Level, int Name), int> Options { get; } = [];

    /// <summary>Connections that the kernel has on a port.</summary>
    public Dictionary<ushort, int> Connections { get; } = [];

    public KernelFile this[int fd] => _files[fd] ?? throw new InvalidOperationException($"descriptor {fd} is closed");

    public int OpenCount => _files.Count(file => file is not null);

    public bool IsOpen(int fd) => _files[fd] is not null;

    public int Open(KernelFile file, DescriptorClass value = DescriptorClass.Kernel, int least = 3)
    {
        for (int fd = least; fd < Size; fd++)
        {
            if (_files[fd] is null)
            {
                _files[fd] = file;
                _classes[fd] = value;
                return fd;
            }
        }

        return -24; // EMFILE
    }

    public int Bind(int fd, ReadOnlySpan<byte> address)
    {
        if (!SocketAddress.TryRead(address, out IpAddress local, out ushort port))
        {
            return -Error.AddressFamily;
        }

        bool taken = _files.Any(file => file is not null && file != _files[fd] && file.Port == port
            && (file.Address == local || file.Address.IsAny || local.IsAny));
        if (taken)
        {
            return -Error.AddressInUse;
        }

        this[fd].Address = local;
        this[fd].Port = port;
        return 0;
    }

    public int Accept(int fd, Span<byte> address, ref uint length, int flags)
    {
        if (!this[fd].Waiting.TryDequeue(out ushort port))
        {
            return -Error.Again;
        }

        SocketAddress.Give(address, ref length, IpAddress.FromIpv4(0x7f000001), port, mapped: false);
        return Open(new KernelFile());
    }

    public int GetName(int fd, Span<byte> address)
    {
        if (this[fd].IsIpv6)
        {
            uint length = 0;
            SocketAddress.Give(address, ref length, this[fd].Address, this[fd].Port, mapped: true);
            address[8..24].Clear();
        }
        else
        {
            address.Clear();
            SocketAddress.Write(address, this[fd].Address, this[fd].Port);
        }

        return 0;
    }

    public int GetOption(int fd, int level, int name, Span<byte> value)
    {
        value.Clear();
        int number = Options.TryGetValue((level, name), out int changed) ? changed : (level, name) switch
        {
            (OptionLevel.Socket, SocketOption.ReceiveBuffer) => 131072,
            (OptionLevel.Socket, SocketOption.SendBuffer) => 16384,
            (OptionLevel.Tcp, TcpOption.KeepIdle) => 7200,
            (OptionLevel.Tcp, TcpOption.KeepInterval) => 75,
            (OptionLevel.Tcp, TcpOption.KeepCount) => 9,
            (OptionLevel.Tcp, TcpOption.SynCount) => 6,
            (OptionLevel.Ip, IpOption.TimeToLive) => 64,
            _ => 0,
        };
        MemoryMarshal.Write(value, number);
        if (level == OptionLevel.Tcp && name == TcpOption.Information)
        {
            MemoryMarshal.Write(value[28..], this[fd].Backlog);
        }

        return 0;
    }

    public int Control(int fd, int command, long argument)
    {
        switch (command)
        {
            case FileControl.Duplicate:
            case FileControl.DuplicateCloseOnExec:
                return Open(this[fd]);
            case FileControl.SetFlags:
                this[fd].Flags = argument;
                return 0;
            default:
                return (int)this[fd].Flags;
        }
    }

    public int Close(int fd)
    {
        KernelFile file = this[fd];
        _files[fd] = null;
        _classes[fd] = DescriptorClass.Kernel;
        if (!_files.Contains(file))
        {
            // The last number of a file takes it out of every set.
            foreach (KernelFile? set in _files)
            {
                set?.Members.Remove(fd);
            }
        }

        return 0;
    }

    public int CreatePlaceholder() => Open(new KernelFile(), DescriptorClass.Private);

    public int EpollControl(int epoll, int operation, int fd, uint events, ulong data)
    {
        if (!IsOpen(epoll) || !IsOpen(fd))
        {
            return -Error.BadDescriptor;
        }

        Dictionary<int, (uint, ulong)> members = this[epoll].Members;
        bool known = members.ContainsKey(fd);
        if (known == (operation == Polling.Add))
        {
            return known ? -Error.Exists : -Error.NoEntry;
        }

        if (operation == Polling.Delete)
        {
            members.Remove(fd);
        }
        else
        {
            members[fd] = (events, data);
        }

        return 0;
    }

    public int CreateEvent() => Open(new KernelFile(), DescriptorClass.Private);

    public int SignalEvent(int fd)
    {
        if (!IsOpen(fd))
        {
            return -Error.BadDescriptor;
        }

        this[fd].Signals++;
        return 0;
    }

    public int CountConnections(ushort port) => Connections.GetValueOrDefault(port);

    public void SetClass(int fd, DescriptorClass value) => _classes[fd] = value;

    public DescriptorClass GetClass(int fd) => _classes[fd];
}
