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

    private int Own(in IpAddress address, ushort port, bool checkKernel)
    {
        int at = FindEnd(address, port);
        if (at == 0)
        {
            at = _ends.Rent();
            if (at == 0)
            {
                return -Error.NoBuffers;
            }

            int result = _driver.AddOwned(address, port, checkKernel);
            if (result < 0)
            {
                _ends.Return(at);
                return result;
            }

            ref OwnedEnd made = ref _ends[at];
            made.Address = address;
            made.Port = port;
            made.CheckKernel = checkKernel;
            made.PortNext = _portEnds[port];
            _portEnds[port] = at;
            _checking += checkKernel ? 1 : 0;
        }
        else if (_ends[at].Users == 0)
        {
            _lingering--;
            SetCheck(ref _ends[at], checkKernel);
        }

        _ends[at].Users++;
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
                int result = Own(item.Address, port, checkKernel: true);
                worst = result < 0 ? result : worst;
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

        if (socket.OwnedAddress.IsAny)
        {
            for (int at = _portEnds[socket.OwnedPort]; at != 0; at = _ends[at].PortNext)
            {
                DropUser(at);
            }
        }
        else
        {
            int at = FindEnd(socket.OwnedAddress, socket.OwnedPort);
            if (at != 0)
            {
                DropUser(at);
            }
        }

        socket.OwnedPort = 0;
    }

    private void DropUser(int at)
    {
        ref OwnedEnd end = ref _ends[at];
        if (end.Users > 0 && --end.Users == 0)
        {
            _lingering++;
            SetCheck(ref end, true);
            if (_lingering == 1)
            {
                _sweepDue = Instant.Earlier(_sweepDue, _now + s_sweepInterval);
            }
        }
    }

    private void SetCheck(ref OwnedEnd end, bool check)
    {
        if (end.CheckKernel != check && _driver.AddOwned(end.Address, end.Port, check) == 0)
        {
            end.CheckKernel = check;
            _checking += check ? 1 : -1;
        }
    }

    /// <summary>A lookup for each packet is spared once the kernel has no connection on the port.</summary>
    private void UncheckQuietPorts()
    {
        for (int at = 1; at < _ends.UpperBound && _checking > 0; at++)
        {
            if (_ends.IsRented(at) && _ends[at].CheckKernel && _ends[at].Users > 0
                && _kernel.CountConnections(_ends[at].Port) == 0)
            {
                SetCheck(ref _ends[at], false);
            }
        }
    }

    private void Sweep(Instant now)
    {
        _sweepDue = now + s_sweepInterval;
        if (_driver.TakeAddressChange())
        {
            OwnNewAddresses();
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
        _driver.RemoveOwned(end.Address, end.Port);
        _checking -= end.CheckKernel ? 1 : 0;
        _lingering--;
        _ends.Return(at);
    }

    /// <summary>An address was added: wildcard listeners serve it, too.</summary>
    private void OwnNewAddresses()
    {
        for (int index = 1; index < _sockets.UpperBound; index++)
        {
            if (!_sockets.IsRented(index) || _sockets[index].Kind != SocketKind.Listener
                || !_sockets[index].OwnedAddress.IsAny)
            {
                continue;
            }

            foreach (ref readonly InterfaceAddress item in _stack.Interfaces.Addresses)
            {
                if (item.InterfaceId == _driver.InterfaceId && item.Address.IsIpv4
                    && FindEnd(item.Address, _sockets[index].OwnedPort) == 0)
                {
                    Own(item.Address, _sockets[index].OwnedPort, checkKernel: true);
                }
            }
        }
    }
}
