// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Tap;

/// <summary>
/// A TAP device (Linux Documentation/networking/tuntap.rst): frames that leave by it are read here, and frames written here come
/// in by it. It is gone when this is disposed of, or the process ends.
/// </summary>
/// <remarks>Reading and writing are one thread's each. Needs CAP_NET_ADMIN.</remarks>
public sealed unsafe class TapDevice : IDisposable
{
    /// <summary>The largest frame: an IP packet of 65,535 bytes and its Ethernet header.</summary>
    public const int LargestFrame = 65_535 + 14;

    internal const nuint SetInterface = 0x400454ca; // TUNSETIFF
    internal const nuint GetInterface = 0x800454d2; // TUNGETIFF
    internal const nuint SetFlags = 0x8914; // SIOCSIFFLAGS
    internal const nuint SetMtu = 0x8922; // SIOCSIFMTU
    internal const nuint SetQueueLength = 0x8943; // SIOCSIFTXQLEN
    internal const short Tap = 0x0002; // IFF_TAP
    internal const short NoInformation = 0x1000; // IFF_NO_PI
    private const int ReadWrite = 2; // O_RDWR
    private const int SetDescriptorFlags = 2; // F_SETFD
    private const int CloseOnExec = 1; // FD_CLOEXEC
    private const int LargestMtu = 65_521;
    private const int QueueLength = 65_536;

    private int _descriptor;

    private TapDevice(int descriptor, string name, int index)
    {
        _descriptor = descriptor;
        Name = name;
        Index = index;
    }

    /// <summary>The interface's name.</summary>
    public string Name { get; }

    /// <summary>The interface's index in the network namespace in which it was made.</summary>
    public int Index { get; }

    /// <summary>Readable when a frame waits.</summary>
    public int FileDescriptor => _descriptor;

    /// <summary>Makes a device in the calling thread's network namespace, and sets it up.</summary>
    /// <param name="name">Its name; "%d" in it becomes a free number.</param>
    /// <param name="device">The device; null on failure.</param>
    /// <returns>0 or a negative error number: -EPERM without privilege, -ENOENT without /dev/net/tun.</returns>
    public static int Open(string name, out TapDevice? device)
    {
        device = null;
        if (!InterfaceName.TryCreate(name, out InterfaceName wanted))
        {
            return -Errno.Invalid;
        }

        int descriptor = Libc.Open("/dev/net/tun\0"u8, ReadWrite | Constants.SocketCloseOnExec | Constants.SocketNonBlocking, 0);
        if (descriptor < 0)
        {
            return descriptor;
        }

        var request = new InterfaceRequest { Name = wanted, Flags = Tap | NoInformation };
        int result = Libc.InputOutputControl(descriptor, SetInterface, &request);
        result = result < 0 ? result : Configure(request.Name, out int index) is int configured and < 0 ? configured : index;
        if (result < 0)
        {
            _ = Libc.Close(descriptor);
            return result;
        }

        device = new TapDevice(descriptor, request.Name.ToString(), result);
        return 0;
    }

    /// <summary>Has the program that this process executes next have the device too, under the same descriptor.</summary>
    /// <returns>0 or a negative error number.</returns>
    public int KeepForNextProgram() => Libc.FileControl(_descriptor, SetDescriptorFlags, 0);

    /// <summary>Takes over a device that was kept for this program.</summary>
    /// <param name="descriptor">Its descriptor.</param>
    /// <param name="device">The device; null on failure.</param>
    /// <returns>0 or a negative error number.</returns>
    public static int TakeOver(int descriptor, out TapDevice? device)
    {
        device = null;
        var request = default(InterfaceRequest);
        int result = Libc.InputOutputControl(descriptor, GetInterface, &request);
        if (result < 0)
        {
            return result;
        }

        InterfaceName name = request.Name;
        int socket = Libc.Socket(Constants.AddressFamilyInet, Constants.SocketDatagram | Constants.SocketCloseOnExec, 0);
        if (socket < 0)
        {
            return socket;
        }

        result = Libc.InputOutputControl(socket, Constants.IoctlGetIndex, &request);
        _ = Libc.Close(socket);
        result = result < 0 ? result : Libc.FileControl(descriptor, SetDescriptorFlags, CloseOnExec);
        device = result < 0 ? null : new TapDevice(descriptor, name.ToString(), request.Integer);
        return result;
    }

    /// <summary>Takes a frame.</summary>
    /// <returns>Its length, or a negative error number; -EAGAIN when none waits.</returns>
    public int Read(Span<byte> frame) => (int)Libc.Read(_descriptor, frame);

    /// <summary>Has a frame come in.</summary>
    /// <returns>Its length, or a negative error number.</returns>
    public int Write(ReadOnlySpan<byte> frame) => (int)Libc.Write(_descriptor, frame);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_descriptor >= 0)
        {
            _ = Libc.Close(_descriptor);
            _descriptor = -1;
        }
    }

    private static int Configure(in InterfaceName name, out int index)
    {
        index = 0;
        int socket = Libc.Socket(Constants.AddressFamilyInet, Constants.SocketDatagram | Constants.SocketCloseOnExec, 0);
        if (socket < 0)
        {
            return socket;
        }

        var request = new InterfaceRequest { Name = name, Integer = LargestMtu };
        int result = Libc.InputOutputControl(socket, SetMtu, &request);
        request.Integer = QueueLength;
        result = result < 0 ? result : Libc.InputOutputControl(socket, SetQueueLength, &request);
        request.Integer = 0;
        request.Flags = Constants.InterfaceUp;
        result = result < 0 ? result : Libc.InputOutputControl(socket, SetFlags, &request);
        result = result < 0 ? result : Libc.InputOutputControl(socket, Constants.IoctlGetIndex, &request);
        index = request.Integer;
        _ = Libc.Close(socket);
        return Math.Min(result, 0);
    }
}
