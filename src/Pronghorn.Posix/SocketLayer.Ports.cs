// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Memory;
using Pronghorn.Stack;
using Pronghorn.Stack.Link;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Posix;

/// <content>
/// Which local ends are steered to the stack. An end stays ours until the last connection record on it is gone, TIME_WAIT
/// included; meanwhile the kernel is asked about its segments, since it may give the port out again.
/// </content>
public sealed partial class SocketLayer
{
    private static readonly Duration s_sweepInterval = Duration.FromSeconds(1);

    private readonly Slab<OwnedEnd> _ends;
    private readonly NativeArray<int> _portEnds;
    private Instant _sweepDue;
    private int _sweep;
    private int _lingering;
    private int _checking;
    private bool _steerAgain;

    private bool IsServed(in IpAddress address)
    {
        foreach (ref readonly InterfaceAddress item in _stack.Interfaces.Addresses)
        {
            if (item.InterfaceId == _driver.InterfaceId && item.Address == address)
            {
                return true;
            }
        }

        return false;
    }

    private int FindEnd(in IpAddress address, ushort port)
    {
        int at = _portEnds[port];
        while (at != 0 && _ends[at].Address != address)
        {
            at = _ends[at].PortNext;
        }

        return at;
    }

    /// <param name="address">The local address.</param>
    /// <param name="port">The local port.</param>
    /// <param name="steering">Whose its segments are.</param>
    /// <param name="listens">Whether the user listens.</param>
    /// <param name="later">Whether to try again each second where it cannot be steered now, rather than to fail.</param>
    private int Own(in IpAddress address, ushort port, EndSteering steering, bool listens = false, bool later = false)
    {
        int at = FindEnd(address, port);
        if (at == 0)
        {
            at = _ends.Rent();
            if (at == 0)
            {
                return -Error.NoBuffers;
            }

            bool served = IsServed(address);
            int result = served ? _driver.AddOwned(address, port, steering) : 0;
            if (result < 0 && !later)
            {
                _ends.Return(at);
                return result;
            }

            if (result < 0)
            {
                served = false;
                SteerLater();
            }

            ref OwnedEnd made = ref _ends[at];
            made.Address = address;
            made.Port = port;
            made.Steering = steering;
            made.Suspended = !served;
            made.PortNext = _portEnds[port];
            _portEnds[port] = at;
            _checking += steering == EndSteering.Ours ? 0 : 1;
        }
        else if (_ends[at].Users == 0)
        {
            _lingering--;
            Steer(ref _ends[at], steering);
        }
        else if (listens)
        {
            Steer(ref _ends[at], steering);
        }

        ref OwnedEnd end = ref _ends[at];
        end.Users++;
        end.Listeners += listens ? 1 : 0;
        end.WasListening |= listens;
        return 0;
    }

    /// <summary>Owns a listener's port on its address, or on every address of the interface.</summary>
    private int OwnListener(in IpAddress address, ushort port)
    {
        int worst = 0;
        foreach (ref readonly InterfaceAddress item in _stack.Interfaces.Addresses)
        {
            if (item.InterfaceId == _driver.InterfaceId && item.Address.IsIpv4
                && (address.IsAny || item.Address == address))
            {
                // Checked first, so that no connection the kernel is just taking falls between.
                int result = Own(item.Address, port, EndSteering.CheckKernel, listens: true);
                worst = result < 0 ? result : worst;
            }
        }

        for (int at = _portEnds[port]; at != 0; at = _ends[at].PortNext)
        {
            if (!IsServed(_ends[at].Address) && (address.IsAny || _ends[at].Address == address))
            {
                Own(_ends[at].Address, port, EndSteering.CheckKernel, listens: true);
            }
        }

        UncheckQuietPorts();
        return worst;
    }

    private void ReleaseEnd(ref SocketRecord socket)
    {
        if (socket.OwnedPort == 0)
        {
            return;
        }

        bool listened = socket.Kind == SocketKind.Listener;
        if (socket.OwnedAddress.IsAny)
        {
            for (int at = _portEnds[socket.OwnedPort]; at != 0; at = _ends[at].PortNext)
            {
                DropUser(at, listened);
            }
        }
        else
        {
            int at = FindEnd(socket.OwnedAddress, socket.OwnedPort);
            if (at != 0)
            {
                DropUser(at, listened);
            }
        }

        socket.OwnedPort = 0;
    }

    private void DropUser(int at, bool listened)
    {
        ref OwnedEnd end = ref _ends[at];
        if (end.Users == 0)
        {
            return;
        }

        end.Users--;
        end.Listeners -= listened ? 1 : 0;
        if (end.Users == 0 || (end.WasListening && end.Listeners == 0))
        {
            Steer(ref end, EndSteering.Lingering);
        }

        if (end.Users == 0)
        {
            _lingering++;
            if (_lingering == 1)
            {
                _sweepDue = Instant.Earlier(_sweepDue, _now + s_sweepInterval);
            }
        }
    }

    private void Steer(ref OwnedEnd end, EndSteering steering)
    {
        if (end.Steering != steering && (end.Suspended || _driver.AddOwned(end.Address, end.Port, steering) == 0))
        {
            _checking += (steering == EndSteering.Ours ? 0 : 1) - (end.Steering == EndSteering.Ours ? 0 : 1);
            end.Steering = steering;
        }
    }

    /// <summary>A lookup for each packet is spared once the kernel has no connection on the port.</summary>
    private void UncheckQuietPorts()
    {
        for (int at = 1; at < _ends.UpperBound && _checking > 0; at++)
        {
            if (_ends.IsRented(at) && _ends[at].Steering == EndSteering.CheckKernel
                && _kernel.CountConnections(_ends[at].Port) == 0)
            {
                Steer(ref _ends[at], EndSteering.Ours);
            }
        }
    }

    /// <summary>An end of an address that came could not be steered to us: the sweeps try until it can.</summary>
    private void SteerLater()
    {
        _stack.Counters.Add(Counter.EndsRefused);
        _steerAgain = true;
        _sweepDue = Instant.Earlier(_sweepDue, _now + s_sweepInterval);
    }

    private void Sweep(Instant now)
    {
        _sweepDue = now + s_sweepInterval;
        if (_steerAgain)
        {
            FollowAddresses();
        }

        if (_checking > _lingering)
        {
            UncheckQuietPorts();
        }

        if (_lingering > 0)
        {
            GiveBackEnds();
        }
    }

    private void GiveBackEnds()
    {
        _sweep++;
        for (int id = 1; id < _tcp.UpperBound; id++)
        {
            if (_tcp.IsActive(id) && _tcp.GetState(id) != TcpState.Closed)
            {
                ref readonly TransmissionControlBlock tcb = ref _tcp.Get(id);
                int at = FindEnd(tcb.Local, tcb.LocalPort);
                if (at != 0)
                {
                    _ends[at].Seen = _sweep;
                }
            }
        }

        for (int at = 1; at < _ends.UpperBound && _lingering > 0; at++)
        {
            if (_ends.IsRented(at) && _ends[at].Users == 0 && _ends[at].Seen != _sweep)
            {
                GiveBack(at);
            }
        }
    }

    private void GiveBack(int at)
    {
        ref OwnedEnd end = ref _ends[at];
        ref int link = ref _portEnds[end.Port];
        while (link != at)
        {
            link = ref _ends[link].PortNext;
        }

        link = end.PortNext;
        if (!end.Suspended)
        {
            _driver.RemoveOwned(end.Address, end.Port);
        }

        _checking -= end.Steering == EndSteering.Ours ? 0 : 1;
        _lingering--;
        _ends.Return(at);
    }

    /// <summary>
    /// Addresses came or went. What goes to an address that is no longer the interface's is not ours to take; when it is
    /// back, its ends are ours again. Wildcard listeners serve new addresses, too.
    /// </summary>
    private void FollowAddresses()
    {
        _steerAgain = false;
        for (int at = 1; at < _ends.UpperBound; at++)
        {
            if (_ends.IsRented(at) && _ends[at].Suspended == IsServed(_ends[at].Address))
            {
                Suspend(ref _ends[at], !_ends[at].Suspended);
            }
        }

        OwnNewAddresses();
    }

    private void Suspend(ref OwnedEnd end, bool suspend)
    {
        if (suspend)
        {
            _driver.RemoveOwned(end.Address, end.Port);
            end.Suspended = true;
            return;
        }

        // The kernel may have taken connections between the address's return and our notice of it.
        Steer(ref end, end.Steering == EndSteering.Ours ? EndSteering.CheckKernel : end.Steering);
        end.Suspended = _driver.AddOwned(end.Address, end.Port, end.Steering) < 0;
        if (end.Suspended)
        {
            SteerLater();
        }
    }

    /// <summary>
    /// Counts each listener on the ends that it has by now: on those of new addresses, and also where another socket was
    /// faster than the notice of the address.
    /// </summary>
    private void OwnNewAddresses()
    {
        for (int at = 1; at < _ends.UpperBound; at++)
        {
            _ends[at].Expected = 0;
        }

        WalkListenerEnds(count: false);
        WalkListenerEnds(count: true);
    }

    private void WalkListenerEnds(bool count)
    {
        for (int index = 1; index < _sockets.UpperBound; index++)
        {
            if (!_sockets.IsRented(index) || _sockets[index].Kind != SocketKind.Listener)
            {
                continue;
            }

            ref readonly SocketRecord socket = ref _sockets[index];
            foreach (ref readonly InterfaceAddress item in _stack.Interfaces.Addresses)
            {
                if (item.InterfaceId == _driver.InterfaceId && item.Address.IsIpv4
                    && (socket.OwnedAddress.IsAny || socket.OwnedAddress == item.Address))
                {
                    VisitListenerEnd(item.Address, socket.OwnedPort, count);
                }
            }
        }
    }

    private void VisitListenerEnd(in IpAddress address, ushort port, bool count)
    {
        int at = FindEnd(address, port);
        if (at == 0 || (count && _ends[at].Listeners < _ends[at].Expected))
        {
            if (Own(address, port, EndSteering.CheckKernel, listens: true, later: true) < 0)
            {
                SteerLater();
            }

            at = FindEnd(address, port);
        }

        if (at != 0 && !count)
        {
            _ends[at].Expected++;
        }
    }
}
