// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;

namespace Pronghorn.Preload;

/// <content>Life and options of sockets.</content>
internal static unsafe partial class Exports
{
    [UnmanagedCallersOnly]
    private static int Adopt(int fd) => s_layer.Adopt(fd);

    [UnmanagedCallersOnly]
    private static int Activate(int fd) => s_layer.Activate(fd);

    [UnmanagedCallersOnly]
    private static int Connect(int fd, byte* address, uint length, int resumed) =>
        s_layer.Connect(fd, new ReadOnlySpan<byte>(address, address == null ? 0 : Clamp(length)), resumed != 0);

    [UnmanagedCallersOnly]
    private static int Listen(int fd, int backlog) => s_layer.Listen(fd, backlog);

    [UnmanagedCallersOnly]
    private static int Accept(int fd, byte* address, uint* length, int flags)
    {
        uint given = address == null || length == null ? 0 : *length;
        int result = s_layer.Accept(fd, new Span<byte>(address, Clamp(given)), ref given, flags);
        if (result >= 0 && address != null && length != null)
        {
            *length = given;
        }

        return result;
    }

    [UnmanagedCallersOnly]
    private static int Shutdown(int fd, int how) => s_layer.Shutdown(fd, how);

    [UnmanagedCallersOnly]
    private static int Close(int fd, int final) => s_layer.Close(fd, final != 0);

    [UnmanagedCallersOnly]
    private static int Duplicate(int fd, int copy) => s_layer.Duplicate(fd, copy);

    [UnmanagedCallersOnly]
    private static int GetName(int fd, byte* address, uint* length, int peer)
    {
        const int Fault = 14; // EFAULT
        if (address == null || length == null)
        {
            return -Fault;
        }

        uint given = *length;
        int result = s_layer.GetName(fd, new Span<byte>(address, Clamp(given)), ref given, peer != 0);
        if (result >= 0)
        {
            *length = given;
        }

        return result;
    }

    [UnmanagedCallersOnly]
    private static int GetOption(int fd, int level, int name, byte* value, uint* length)
    {
        const int Fault = 14; // EFAULT
        if (value == null || length == null)
        {
            return -Fault;
        }

        int result = s_layer.GetOption(fd, level, name, new Span<byte>(value, Clamp(*length)), out uint given);
        if (result >= 0)
        {
            *length = given;
        }

        return result;
    }

    [UnmanagedCallersOnly]
    private static int SetOption(int fd, int level, int name, byte* value, uint length) =>
        s_layer.SetOption(fd, level, name, new ReadOnlySpan<byte>(value, value == null ? 0 : Clamp(length)));

    [UnmanagedCallersOnly]
    private static int GetFlags(int fd) => s_layer.GetFlags(fd);

    [UnmanagedCallersOnly]
    private static int SetFlags(int fd, int flags) => s_layer.SetFlags(fd, flags);

    [UnmanagedCallersOnly]
    private static int InputOutputControl(int fd, ulong request, int* value) =>
        s_layer.InputOutputControl(fd, request, ref *value);

    [UnmanagedCallersOnly]
    private static long Timeout(int fd, int direction) => s_layer.Timeout(fd, direction);
}
