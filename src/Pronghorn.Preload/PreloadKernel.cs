// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Posix;
using Pronghorn.Stack;

namespace Pronghorn.Preload;

/// <summary>The real calls, which the preloaded library hands over as a table of functions.</summary>
internal sealed unsafe class PreloadKernel : IKernel
{
    private readonly KernelTable _table;

    public PreloadKernel(in KernelTable table) => _table = table;

    public Instant Now => new(_table.Now());

    public int Bind(int fd, ReadOnlySpan<byte> address)
    {
        fixed (byte* pointer = address)
        {
            return _table.Bind(fd, pointer, (uint)address.Length);
        }
    }

    public int Accept(int fd, Span<byte> address, ref uint length, int flags)
    {
        uint given = (uint)address.Length;
        fixed (byte* pointer = address)
        {
            int accepted = _table.Accept(fd, pointer, pointer == null ? null : &given, flags);
            length = given;
            return accepted;
        }
    }

    public int GetName(int fd, Span<byte> address)
    {
        uint length = (uint)address.Length;
        fixed (byte* pointer = address)
        {
            return _table.GetName(fd, pointer, &length);
        }
    }

    public int GetOption(int fd, int level, int name, Span<byte> value)
    {
        uint length = (uint)value.Length;
        fixed (byte* pointer = value)
        {
            return _table.GetOption(fd, level, name, pointer, &length);
        }
    }

    public int Control(int fd, int command, long argument) => _table.Control(fd, command, argument);

    public int Close(int fd) => _table.Close(fd);

    public int CreatePlaceholder() => _table.CreatePlaceholder();

    public int EpollControl(int epoll, int operation, int fd, uint events, ulong data) =>
        _table.EpollControl(epoll, operation, fd, events, data);

    public int CreateEvent() => _table.CreateEvent();

    public int SignalEvent(int fd) => _table.SignalEvent(fd);

    public int CountConnections(ushort port) => _table.CountConnections(port);

    public void SetClass(int fd, DescriptorClass value) => _table.SetClass(fd, (int)value);

    public DescriptorClass GetClass(int fd) => (DescriptorClass)_table.GetClass(fd);
}
