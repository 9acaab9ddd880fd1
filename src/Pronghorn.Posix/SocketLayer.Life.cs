// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Posix;

/// <content>How sockets begin, connect, listen and end.</content>
public sealed partial class SocketLayer
{
    private const int ShutReading = 0;
    private const int ShutWriting = 1;
    private const int ShutBoth = 2;

    // net.ipv4.ip_local_port_range as it is by default
    private int _firstLocalPort = 32768;
    private int _lastLocalPort = 60999;
    private int _nextPort;

    /// <summary>Chooses local ports of connections from a range (net.ipv4.ip_local_port_range).</summary>
    /// <param name="first">Lowest port, at least 1.</param>
    /// <param name="last">Highest port, at least <paramref name="first"/>.</param>
    public void UseLocalPorts(int first, int last)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(first, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(last, first);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(last, ushort.MaxValue);
        _firstLocalPort = first;
        _lastLocalPort = last;
    }

    /// <summary>Takes over an unconnected socket of the kernel's that the program begins to watch.</summary>
    /// <returns>0 or a negative error number.</returns>
    public int Adopt(int fd)
    {
        if (FindSocket(fd) > 0)
        {
            // Another thread was first.
            return 0;
        }

        int index = NewSocket(fd);
        if (index == 0)
        {
            return -Error.NoMemory;
        }

        ReadKernelState(fd, ref _sockets[index]);
        return 0;
    }

    /// <summary>Takes over a socket that listens in the kernel, where it goes on listening for local peers.</summary>
    /// <returns>0, <see cref="SocketResult.Kernel"/> when its address is not ours, or a negative error number.</returns>
    public int Activate(int fd)
    {
        if (FindSocket(fd) > 0)
        {
            // Another thread was first.
            return 0;
        }

        Span<byte> name = stackalloc byte[SocketAddress.Longest];
        if (_kernel.GetName(fd, name) < 0
            || !SocketAddress.TryReadListener(name, out IpAddress address, out ushort port, out bool mapped)
            || !(address.IsAny || IsServed(address)))
        {
            return SocketResult.Kernel;
        }

        int index = NewSocket(fd);
        if (index == 0)
        {
            return -Error.NoMemory;
        }

        ref SocketRecord socket = ref _sockets[index];
        ReadKernelState(fd, ref socket);
        socket.Mapped = mapped;
        int result = StartListening(index, ref socket, address, port, KernelBacklog(fd));
        if (result < 0)
        {
            Forget(fd, index);
        }

        return result;
    }

    /// <summary>listen(2) on a socket of ours; the kernel's socket listens already.</summary>
    public int Listen(int fd, int backlog)
    {
        int index = FindSocket(fd);
        if (index <= 0)
        {
            return -Error.BadDescriptor;
        }

        ref SocketRecord socket = ref _sockets[index];
        if (socket.Kind == SocketKind.Listener)
        {
            _tcp.SetBacklog(socket.Id, backlog);
            return 0;
        }

        Span<byte> name = stackalloc byte[SocketAddress.Length];
        if (_kernel.GetName(fd, name) < 0 || !SocketAddress.TryRead(name, out IpAddress address, out ushort port))
        {
            return -Error.Invalid;
        }

        return StartListening(index, ref socket, address, port, backlog);
    }

    /// <summary>connect(2).</summary>
    /// <param name="fd">A candidate, or a descriptor of ours.</param>
    /// <param name="address">struct sockaddr.</param>
    /// <param name="resumed">Whether this asks how a call that waits is going.</param>
    /// <returns>
    /// 0, a negative error number, <see cref="SocketResult.Wait"/>, <see cref="SocketResult.Kernel"/>, or
    /// <see cref="SocketResult.Fallback"/> and less.
    /// </returns>
    public int Connect(int fd, ReadOnlySpan<byte> address, bool resumed)
    {
        int index = FindSocket(fd);
        if (index > 0 && _sockets[index].Kind == SocketKind.Connection)
        {
            int progress = ConnectProgress(ref _sockets[index], resumed);
            if (progress != 0 || _sockets[index].Kind == SocketKind.Connection)
            {
                return progress;
            }
        }

        if (index > 0 && _sockets[index].Kind == SocketKind.Listener)
        {
            return -Error.IsConnected;
        }

        if (!SocketAddress.TryRead(address, out IpAddress remote, out ushort port) || remote.IsAny
            || !_driver.Reaches(remote, out IpAddress source))
        {
            return LeaveToKernel(fd, index);
        }

        bool adopted = index > 0;
        index = adopted ? index : NewSocket(fd);
        if (index == 0)
        {
            return SocketResult.Fallback - Error.NoMemory;
        }

        ref SocketRecord socket = ref _sockets[index];
        if (!adopted)
        {
            ReadKernelState(fd, ref socket);
        }

        int result = StartConnecting(index, ref socket, source, remote, port);
        if (result < 0)
        {
            if (result is SocketResult.Kernel or <= SocketResult.Fallback)
            {
                LeaveToKernel(fd, index);
                return result;
            }

            if (!adopted)
            {
                Forget(fd, index);
                _kernel.SetClass(fd, DescriptorClass.Candidate);
            }

            return result;
        }

        return socket.NonBlocking ? -Error.InProgress : SocketResult.Wait;
    }

    /// <summary>accept4(2): connections of the stack first, then those that came over the kernel's path.</summary>
    /// <returns>A descriptor, a negative error number, or <see cref="SocketResult.Wait"/>.</returns>
    public int Accept(int fd, Span<byte> address, ref uint length, int flags)
    {
        int index = FindSocket(fd);
        if (index <= 0)
        {
            return -Error.BadDescriptor;
        }

        ref SocketRecord listener = ref _sockets[index];
        if (listener.Kind != SocketKind.Listener)
        {
            return -Error.Invalid;
        }

        if (_tcp.AcceptQueueLength(listener.Id) == 0)
        {
            PollForProgress();
        }

        if (_tcp.AcceptQueueLength(listener.Id) > 0)
        {
            return AcceptOurs(ref listener, address, ref length, flags);
        }

        int accepted = _kernel.Accept(fd, address, ref length, flags);
        return accepted == -Error.Again && !listener.NonBlocking ? SocketResult.Wait : accepted;
    }

    /// <summary>shutdown(2).</summary>
    public int Shutdown(int fd, int how)
    {
        int index = FindSocket(fd);
        if (index <= 0)
        {
            return -Error.BadDescriptor;
        }

        if (how is < ShutReading or > ShutBoth)
        {
            return -Error.Invalid;
        }

        ref SocketRecord socket = ref _sockets[index];
        _activity++;
        _now = _kernel.Now;
        if (socket.Kind == SocketKind.Listener)
        {
            StopListening(ref socket);
            return SocketResult.Kernel;
        }

        if (socket.Kind == SocketKind.Idle || _tcp.GetState(socket.Id) == TcpState.Closed)
        {
            return -Error.NotConnected;
        }

        if (how is ShutReading or ShutBoth)
        {
            _tcp.ShutdownReceive(socket.Id, _now);
        }

        TcpError error = how is ShutWriting or ShutBoth ? _tcp.ShutdownSend(socket.Id, _now) : TcpError.None;
        DispatchEvents();
        Flush();
        return -Error.From(error);
    }

    /// <summary>The copy refers to what <paramref name="fd"/> refers to (dup(2)).</summary>
    public int Duplicate(int fd, int copy)
    {
        int index = FindSocket(fd);
        if (index == 0 || (uint)copy >= (uint)_descriptors.Length)
        {
            return -Error.BadDescriptor;
        }

        if (copy == fd)
        {
            return 0;
        }

        if (index > 0)
        {
            _sockets[index].References++;
        }
        else
        {
            _sets[-index].References++;
        }

        Refer(copy, index);
        _copies[copy] = _copies[fd];
        _copies[fd] = copy;
        return 0;
    }

    /// <summary>The program closes a descriptor.</summary>
    /// <param name="fd">A descriptor of ours.</param>
    /// <param name="final">Whether not to wait any longer (SO_LINGER).</param>
    /// <returns>0, or <see cref="SocketResult.Wait"/>.</returns>
    public int Close(int fd, bool final)
    {
        int index = FindSocket(fd);
        if (index < 0)
        {
            CloseSet(fd, -index);
            return 0;
        }

        if (index == 0)
        {
            return 0;
        }

        ref SocketRecord socket = ref _sockets[index];
        _activity++;
        if (socket.References == 1)
        {
            _now = _kernel.Now;
            if (!final && MustLinger(socket))
            {
                return SocketResult.Wait;
            }

            RemoveInterests(ref socket);
            Release(ref socket);
            Flush();
            Unrefer(fd);
            _sockets.Return(index);
            return 0;
        }

        socket.References--;
        int other = Unrefer(fd);
        if (socket.Descriptor == fd)
        {
            socket.Descriptor = other;
        }

        return 0;
    }

    /// <summary>A descriptor refers to a record from now on, so far as the only one.</summary>
    private void Refer(int fd, int reference)
    {
        if (_descriptors[fd] != 0)
        {
            // Closed behind our back: out of the ring of what it was.
            Unrefer(fd);
        }

        _descriptors[fd] = reference;
        _copies[fd] = fd;
    }

    /// <summary>A descriptor refers to nothing of ours any longer. The walk is as long as there are copies of it.</summary>
    /// <returns>Another that refers to what it did, or -1: whoever noted the number may find another file there by now.</returns>
    private int Unrefer(int fd)
    {
        int before = fd;
        while (_copies[before] != fd)
        {
            before = _copies[before];
        }

        _copies[before] = _copies[fd];
        _descriptors[fd] = 0;
        return before == fd ? -1 : before;
    }

    private int NewSocket(int fd)
    {
        int index = (uint)fd < (uint)_descriptors.Length ? _sockets.Rent() : 0;
        if (index != 0)
        {
            ref SocketRecord socket = ref _sockets[index];
            socket.References = 1;
            socket.Descriptor = fd;
            socket.LingerSeconds = -1;
            socket.Settings = SocketSettings.Default;
            Refer(fd, index);
            _kernel.SetClass(fd, DescriptorClass.Socket);
        }

        return index;
    }

    private void Forget(int fd, int index)
    {
        ref SocketRecord socket = ref _sockets[index];
        RemoveInterests(ref socket);
        for (int copy = fd; copy >= 0;)
        {
            _kernel.SetClass(copy, DescriptorClass.Kernel);
            copy = Unrefer(copy);
        }

        _sockets.Return(index);
    }

    /// <summary>The kernel does the rest with this socket; epoll sets watch it there.</summary>
    private int LeaveToKernel(int fd, int index)
    {
        if (index > 0)
        {
            ref SocketRecord socket = ref _sockets[index];
            for (int at = socket.FirstInterest; at != 0; at = _interests[at].SocketNext)
            {
                ref Interest interest = ref _interests[at];
                bool open = FindSocket(interest.Descriptor) == index;
                _kernel.EpollControl(
                    _sets[interest.Set].Descriptor, Polling.Add, open ? interest.Descriptor : fd, interest.Events, interest.Data);
            }

            if (socket.NonBlocking)
            {
                _kernel.Control(fd, FileControl.SetFlags, FileControl.ReadWrite | FileControl.NonBlocking);
            }

            ReleaseEnd(ref socket);
            Forget(fd, index);
        }

        return SocketResult.Kernel;
    }

    private int StartListening(int index, ref SocketRecord socket, in IpAddress address, ushort port, int backlog)
    {
        _activity++;
        int id = _tcp.Listen(address, port, backlog, index, socket.Settings, out TcpError error);
        if (id == 0)
        {
            return -Error.From(error);
        }

        ReleaseEnd(ref socket); // of an attempt to connect
        socket.Kind = SocketKind.Listener;
        socket.Id = id;
        socket.OwnedAddress = address;
        socket.OwnedPort = port;
        int result = OwnListener(address, port);
        if (result < 0)
        {
            _tcp.CloseListener(id, _now);
            ReleaseEnd(ref socket);
            socket.Kind = SocketKind.Idle;
            return result;
        }

        // accept() asks the kernel, too, and must never wait there.
        _kernel.Control(socket.Descriptor, FileControl.SetFlags, FileControl.ReadWrite | FileControl.NonBlocking);
        return 0;
    }

    private void StopListening(ref SocketRecord socket)
    {
        _tcp.CloseListener(socket.Id, _now);
        ReleaseEnd(ref socket);
        socket.Kind = SocketKind.Idle;
        socket.Id = 0;
        Flush();
    }

    private int StartConnecting(int index, ref SocketRecord socket, IpAddress source, in IpAddress remote, ushort port)
    {
        Span<byte> name = stackalloc byte[SocketAddress.Length];
        if (_kernel.GetName(socket.Descriptor, name) < 0
            || !SocketAddress.TryRead(name, out IpAddress bound, out ushort localPort))
        {
            return SocketResult.Kernel;
        }

        if (!bound.IsAny)
        {
            if (!IsServed(bound))
            {
                return SocketResult.Kernel;
            }

            source = bound;
        }

        if (localPort == 0)
        {
            int result = BindSomePort(socket.Descriptor, source, out localPort);
            if (result < 0)
            {
                return result;
            }
        }

        if (socket.OwnedPort == 0)
        {
            int owned = Own(source, localPort, EndSteering.Ours);
            if (owned < 0)
            {
                return SocketResult.Fallback + owned;
            }

            socket.OwnedAddress = source;
            socket.OwnedPort = localPort;
        }

        _activity++;
        _now = _kernel.Now;
        int id = _tcp.Connect(source, localPort, remote, port, index, socket.Settings, _now, out TcpError error);
        if (id == 0)
        {
            ReleaseEnd(ref socket);
            return -Error.From(error);
        }

        socket.Kind = SocketKind.Connection;
        socket.Id = id;
        socket.Connecting = true;
        Flush();
        return 0;
    }

    /// <summary>
    /// Reserves a local port in the kernel too, so that nobody else gets it. The kernel knows nothing of our connections
    /// that are still ending, so the choice is made here, among ports without any.
    /// </summary>
    private int BindSomePort(int fd, in IpAddress source, out ushort port)
    {
        Span<byte> name = stackalloc byte[SocketAddress.Length];
        int range = _lastLocalPort - _firstLocalPort + 1;
        int result = -Error.AddressNotAvailable;
        for (int attempt = 0; attempt < 2 * range; attempt++)
        {
            // RFC 6056 3.3: small random hops from a random start.
            _nextPort = (_nextPort + (attempt == 0 ? 1 + (int)(_kernel.Now.Nanoseconds & 7) : 1)) % range;
            port = (ushort)(_firstLocalPort + _nextPort);
            int end = _portEnds[port];
            bool ending = end != 0 && _ends[end].Users == 0 && _ends[end].PortNext == 0;
            if (end != 0 && !(ending && attempt >= range))
            {
                // The second time round, a port whose connections only end will do: the stack knows their four-tuples.
                continue;
            }

            SocketAddress.Write(name, source, port);
            result = _kernel.Bind(fd, name);
            if (result != -Error.AddressInUse)
            {
                return result;
            }
        }

        port = 0;
        return result == -Error.AddressInUse ? -Error.AddressNotAvailable : result;
    }

    /// <summary>The answer of connect(2) on a socket that is connecting, connected or was. 0 with kind Idle: try anew.</summary>
    private int ConnectProgress(ref SocketRecord socket, bool resumed)
    {
        switch (_tcp.GetState(socket.Id))
        {
            case TcpState.SynSent:
            case TcpState.SynReceived:
                return !socket.NonBlocking ? SocketResult.Wait : resumed ? -Error.InProgress : -Error.Already;
            case TcpState.Closed:
                // The socket is as new again (tcp_disconnect in the kernel), whatever the answer.
                TcpError error = _tcp.TakeError(socket.Id);
                _tcp.GetSettings(socket.Id, out socket.Settings);
                _tcp.Close(socket.Id, _now);
                socket.Connecting = false;
                socket.Kind = SocketKind.Idle;
                socket.Id = 0;
                return error != TcpError.None ? -Error.From(error) : resumed ? -Error.ConnectionAborted : 0;
            default:
                bool first = socket.Connecting;
                socket.Connecting = false;
                socket.WasConnected = true;
                return first ? 0 : -Error.IsConnected;
        }
    }

    private int AcceptOurs(ref SocketRecord listener, Span<byte> address, ref uint length, int flags)
    {
        if (_placeholder < 0)
        {
            _placeholder = _kernel.CreatePlaceholder();
        }

        bool closeOnExec = (flags & FileControl.CloseOnExec) != 0;
        int fd = _kernel.Control(
            _placeholder, closeOnExec ? FileControl.DuplicateCloseOnExec : FileControl.Duplicate, 0);
        if (fd < 0)
        {
            return fd;
        }

        int index = NewSocket(fd);
        if (index == 0)
        {
            _kernel.Close(fd);
            return -Error.NoMemory;
        }

        _activity++;
        _tcp.TryAccept(listener.Id, out int connection);
        ref SocketRecord socket = ref _sockets[index];
        socket.Kind = SocketKind.Connection;
        socket.Id = connection;
        socket.WasConnected = true;
        socket.NonBlocking = (flags & FileControl.NonBlocking) != 0;
        socket.LingerSeconds = listener.LingerSeconds;
        socket.ReceiveTimeout = listener.ReceiveTimeout;
        socket.SendTimeout = listener.SendTimeout;
        socket.ReuseAddress = listener.ReuseAddress;
        socket.Mapped = listener.Mapped;
        _tcp.SetTag(connection, index);
        ref readonly TransmissionControlBlock tcb = ref _tcp.Get(connection);
        if (Own(tcb.Local, tcb.LocalPort, EndSteering.Ours) == 0)
        {
            socket.OwnedAddress = tcb.Local;
            socket.OwnedPort = tcb.LocalPort;
        }

        SocketAddress.Give(address, ref length, tcb.Remote, tcb.RemotePort, socket.Mapped);
        return fd;
    }

    private bool MustLinger(in SocketRecord socket) =>
        socket.Kind == SocketKind.Connection && socket.LingerSeconds > 0 && !socket.NonBlocking
        && _tcp.GetState(socket.Id) is TcpState.Established or TcpState.CloseWait
        && _tcp.SendQueueBytes(socket.Id) > 0;

    private void Release(ref SocketRecord socket)
    {
        switch (socket.Kind)
        {
            case SocketKind.Connection when socket.LingerSeconds == 0:
                _tcp.Abort(socket.Id, _now);
                break;
            case SocketKind.Connection:
                _tcp.Close(socket.Id, _now);
                break;
            case SocketKind.Listener:
                _tcp.CloseListener(socket.Id, _now);
                break;
            default:
                break;
        }

        ReleaseEnd(ref socket);
    }

    private int KernelBacklog(int fd)
    {
        // For a listener, tcpi_sacked is the backlog (tcp_get_info in the kernel).
        Span<byte> information = stackalloc byte[64];
        return _kernel.GetOption(fd, OptionLevel.Tcp, TcpOption.Information, information) < 0
            ? 128
            : MemoryMarshal.Read<int>(information[28..]);
    }
}
