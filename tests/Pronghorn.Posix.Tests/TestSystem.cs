// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Pronghorn.Stack;
using Pronghorn.Wire;

namespace Pronghorn.Posix.Tests;

/// <summary>
/// One host. The methods do what the preloaded library does around the layer: they wait, by letting virtual time pass, and
/// answer as the system calls do, a negative error number for -1.
/// </summary>
internal sealed class TestSystem : IDisposable
{
    public const ulong InternalData = 0xfeed_feed_feed_feed;

    private readonly TwoSystems _network;

    public TestSystem(TwoSystems network, IpAddress address, ulong secret)
    {
        _network = network;
        Address = address;
        Kernel = new KernelModel(network.Clock);
        Driver = new MemoryDriver(network.Clock, address, secret);
        Device = Kernel.Open(new KernelFile(), DescriptorClass.Private);
        Netlink = Kernel.Open(new KernelFile(), DescriptorClass.Private);
        Layer = new SocketLayer(Kernel, Driver, KernelModel.Size, [Device, Netlink], InternalData);
    }

    public IpAddress Address { get; }

    public KernelModel Kernel { get; }

    public MemoryDriver Driver { get; }

    public SocketLayer Layer { get; }

    public int Device { get; }

    public int Netlink { get; }

    public Instant Poll()
    {
        PollRound round = default;
        Layer.Poll(ref round);
        return round.NextDeadline;
    }

    /// <summary>socket(2): a candidate.</summary>
    public int Socket(bool nonBlocking = false)
    {
        int fd = Kernel.Open(new KernelFile(), DescriptorClass.Candidate);
        Kernel[fd].Flags += nonBlocking ? FileControl.NonBlocking : 0;
        return fd;
    }

    public int Bind(int fd, IpAddress address, ushort port)
    {
        Span<byte> name = stackalloc byte[SocketAddress.Length];
        SocketAddress.Write(name, address, port);
        return Kernel.Bind(fd, name);
    }

    /// <summary>A socket that listens on every address.</summary>
    public int Listen(ushort port, int backlog = 16, bool nonBlocking = false) =>
        Listen(IpAddress.AnyIpv4, port, backlog, nonBlocking);

    public int Listen(IpAddress address, ushort port, int backlog = 16, bool nonBlocking = false)
    {
        int fd = Socket(nonBlocking);
        int result = Bind(fd, address, port);
        Kernel[fd].Backlog = backlog;
        Kernel.SetClass(fd, DescriptorClass.Listening);
        result = result < 0 ? result : Layer.Activate(fd);
        return result == 0 ? fd : result;
    }

    /// <summary>Another socket that listens where one does (SO_REUSEPORT).</summary>
    public int ListenBeside(int listener, IpAddress address)
    {
        int fd = Kernel.Open(
            new KernelFile { Address = address, Port = Kernel[listener].Port, Backlog = 16 }, DescriptorClass.Listening);
        int result = Layer.Activate(fd);
        return result == 0 ? fd : result;
    }

    public int StartConnect(int fd, IpAddress address, ushort port, bool resumed = false)
    {
        Span<byte> name = stackalloc byte[SocketAddress.Length];
        SocketAddress.Write(name, address, port);
        return Layer.Connect(fd, name, resumed);
    }

    public int Connect(int fd, IpAddress address, ushort port)
    {
        int result = StartConnect(fd, address, port);
        return result == SocketResult.Wait
            ? (int)Wait(fd, 1, () => StartConnect(fd, address, port, resumed: true), -Error.InProgress)
            : result;
    }

    public long Accept(int fd, int flags = 0)
    {
        uint length = 0;
        return Wait(fd, 0, () => Layer.Accept(fd, default, ref length, flags), -Error.Again);
    }

    public long Send(int fd, byte[] data, int flags = 0)
    {
        long total = 0;
        do
        {
            long sent = Wait(fd, 1, () => Layer.Send(fd, data.AsSpan((int)total), flags, flush: true), -Error.Again);
            if (sent < 0)
            {
                return total > 0 ? total : sent;
            }

            total += sent;
        }
        while (total < data.Length && (Layer.GetFlags(fd) & FileControl.NonBlocking) == 0);

        return total;
    }

    public long Receive(int fd, Span<byte> room, int flags = 0)
    {
        byte[] buffer = new byte[room.Length];
        long got = Wait(fd, 0, () => Layer.Receive(fd, buffer, flags), -Error.Again);
        buffer.AsSpan(0, (int)Math.Clamp(got, 0, room.Length)).CopyTo(room);
        return got;
    }

    public long Receive(int fd, int room = 4096, int flags = 0) => Receive(fd, new byte[room], flags);

    /// <summary>close(2), with what the trampolines do before and after it.</summary>
    public int Close(int fd)
    {
        long limit = Layer.Timeout(fd, 2);
        Instant end = limit < 0 ? _network.Now : _network.Now + new Duration(limit);
        while (Layer.Close(fd, final: false) == SocketResult.Wait)
        {
            if (!_network.Step(end))
            {
                Layer.Close(fd, final: true);
                break;
            }
        }

        return Kernel.Close(fd);
    }

    /// <summary>dup(2).</summary>
    public int Duplicate(int fd)
    {
        DescriptorClass value = Kernel.GetClass(fd);
        int copy = Kernel.Control(fd, FileControl.Duplicate, 0);
        if (Layer.Duplicate(fd, copy) == 0)
        {
            Kernel.SetClass(copy, value);
        }

        return copy;
    }

    public int Epoll() => Kernel.Open(new KernelFile(), DescriptorClass.KernelEpoll);

    public int Watch(int epoll, int fd, uint events) => Layer.EpollControl(epoll, Polling.Add, fd, events, (ulong)fd);

    /// <summary>epoll_wait(2) that does not wait.</summary>
    public List<(uint Events, int Data)> Events(int epoll, int room = 16)
    {
        byte[] buffer = new byte[room * SocketLayer.EpollEventSize];
        PollRound round = default;
        int count = Layer.EpollCollect(epoll, buffer, ref round);
        if (count < 0)
        {
            throw new InvalidOperationException($"epoll_wait: {count}");
        }

        List<(uint, int)> found = [];
        for (int i = 0; i < count; i++)
        {
            Span<byte> one = buffer.AsSpan(i * SocketLayer.EpollEventSize, SocketLayer.EpollEventSize);
            found.Add((MemoryMarshal.Read<uint>(one), (int)MemoryMarshal.Read<ulong>(one[^8..])));
        }

        return found;
    }

    /// <summary>poll(2) of one socket that does not wait.</summary>
    public int PollOne(int fd, uint events)
    {
        PollDescriptor item = new() { Descriptor = fd, Events = (short)events };
        PollRound round = default;
        Layer.PollDescriptors(new Span<PollDescriptor>(ref item), ref round);
        return (ushort)item.Found;
    }

    /// <summary>An option's number, or the negative answer.</summary>
    public int Option(int fd, int level, int name)
    {
        Span<byte> value = stackalloc byte[sizeof(int)];
        int result = Layer.GetOption(fd, level, name, value, out _);
        return result == 0 ? MemoryMarshal.Read<int>(value) : result;
    }

    public int SetOption(int fd, int level, int name, int value) =>
        Layer.SetOption(fd, level, name, MemoryMarshal.AsBytes(new ReadOnlySpan<int>(in value)));

    public int SetTime(int fd, int name, Duration time)
    {
        ReadOnlySpan<long> parts = [time.Nanoseconds / 1_000_000_000, time.Nanoseconds % 1_000_000_000 / 1000];
        return Layer.SetOption(fd, OptionLevel.Socket, name, MemoryMarshal.AsBytes(parts));
    }

    public int SetLinger(int fd, int seconds)
    {
        ReadOnlySpan<int> parts = [1, seconds];
        return Layer.SetOption(fd, OptionLevel.Socket, SocketOption.Linger, MemoryMarshal.AsBytes(parts));
    }

    public int Queue(int fd, ulong request)
    {
        int value = -1;
        int result = Layer.InputOutputControl(fd, request, ref value);
        return result == 0 ? value : result;
    }

    public void Dispose()
    {
        Layer.Dispose();
        Driver.Dispose();
    }

    private long Wait(int fd, int direction, Func<long> call, int onTimeout)
    {
        long limit = Layer.Timeout(fd, direction);
        Instant end = limit < 0 ? Instant.Never : _network.Now + new Duration(limit);
        long result = call();
        while (result == SocketResult.Wait)
        {
            if (!_network.Step(end))
            {
                return end.IsSet ? onTimeout : throw new InvalidOperationException("the call would wait for ever");
            }

            result = call();
        }

        return result;
    }
}
