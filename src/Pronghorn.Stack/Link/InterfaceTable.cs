// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Memory;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Link;

/// <summary>A network interface of the host, or a standalone device.</summary>
public struct NetworkInterface
{
    /// <summary>The kernel's ifindex; 1 or more.</summary>
    public int Id;

    /// <summary>Link address.</summary>
    public MacAddress Mac;

    /// <summary>MTU in bytes, link header not counted.</summary>
    public int Mtu;

    /// <summary>Whether it is up and has a carrier.</summary>
    public bool Up;
}

/// <summary>An address of the host.</summary>
public struct InterfaceAddress
{
    /// <summary>The interface that has it.</summary>
    public int InterfaceId;

    /// <summary>The address.</summary>
    public IpAddress Address;

    /// <summary>Length of its subnet's prefix in bits (0 to 32 for IPv4).</summary>
    public int PrefixLength;
}

/// <summary>The host's interfaces and addresses, as the runtime mirrors them.</summary>
public sealed class InterfaceTable : IDisposable
{
    private readonly NativeArray<NetworkInterface> _interfaces = new(16);
    private readonly NativeArray<InterfaceAddress> _addresses = new(16);
    private int _interfaceCount;
    private int _addressCount;

    private readonly PathEpoch _epoch;

    private readonly StackCounters _counters;

    internal InterfaceTable(PathEpoch epoch, StackCounters counters)
    {
        _epoch = epoch;
        _counters = counters;
    }

    /// <summary>Changes with every change of the table.</summary>
    public int Generation
    {
        get;
        private set
        {
            field = value;
            _epoch.Value++;
        }
    }

    /// <summary>Whether an interface came or one's MTU fell since this was last reset by its reader.</summary>
    internal bool MtuLowered { get; set; }

    /// <summary>All addresses.</summary>
    public ReadOnlySpan<InterfaceAddress> Addresses => _addresses.AsSpan()[.._addressCount];

    /// <summary>All interfaces.</summary>
    public ReadOnlySpan<NetworkInterface> Interfaces => _interfaces.AsSpan()[.._interfaceCount];

    /// <summary>Adds an interface or replaces what is known of it. False when the table is full.</summary>
    public bool Update(in NetworkInterface record)
    {
        Generation++;
        for (int i = 0; i < _interfaceCount; i++)
        {
            if (_interfaces[i].Id == record.Id)
            {
                MtuLowered |= record.Mtu < _interfaces[i].Mtu;
                _interfaces[i] = record;
                return true;
            }
        }

        if (_interfaceCount >= Limits.MaximumInterfaces || !_interfaces.EnsureLength(_interfaceCount + 1))
        {
            _counters.Add(Counter.RoutingEntriesRefused);
            return false;
        }

        // After a new snapshot of the kernel's tables the old MTU is not known any more.
        MtuLowered = true;
        _interfaces[_interfaceCount++] = record;
        return true;
    }

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        Generation++;
        _interfaceCount = 0;
        _addressCount = 0;
    }

    /// <summary>Forgets an interface and its addresses.</summary>
    public void Remove(int interfaceId)
    {
        Generation++;
        for (int i = 0; i < _interfaceCount; i++)
        {
            if (_interfaces[i].Id == interfaceId)
            {
                _interfaces[i] = _interfaces[--_interfaceCount];
                break;
            }
        }

        for (int i = _addressCount - 1; i >= 0; i--)
        {
            if (_addresses[i].InterfaceId == interfaceId)
            {
                _addresses[i] = _addresses[--_addressCount];
            }
        }
    }

    /// <summary>Adds an address. False when the table is full.</summary>
    public bool AddAddress(int interfaceId, in IpAddress address, int prefixLength)
    {
        Generation++;
        for (int i = 0; i < _addressCount; i++)
        {
            if (_addresses[i].InterfaceId == interfaceId && _addresses[i].Address == address)
            {
                _addresses[i].PrefixLength = prefixLength;
                return true;
            }
        }

        if (_addressCount >= Limits.MaximumInterfaces * 4 || !_addresses.EnsureLength(_addressCount + 1))
        {
            _counters.Add(Counter.RoutingEntriesRefused);
            return false;
        }

        _addresses[_addressCount++] = new InterfaceAddress
        {
            InterfaceId = interfaceId, Address = address, PrefixLength = prefixLength,
        };
        return true;
    }

    /// <summary>Removes an address.</summary>
    public void RemoveAddress(int interfaceId, in IpAddress address)
    {
        Generation++;
        for (int i = 0; i < _addressCount; i++)
        {
            if (_addresses[i].InterfaceId == interfaceId && _addresses[i].Address == address)
            {
                _addresses[i] = _addresses[--_addressCount];
                return;
            }
        }
    }

    /// <summary>Whether an address is one of the host's.</summary>
    public bool IsLocal(in IpAddress address)
    {
        for (int i = 0; i < _addressCount; i++)
        {
            if (_addresses[i].Address == address)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Finds an interface.</summary>
    public bool TryGet(int interfaceId, out NetworkInterface record)
    {
        for (int i = 0; i < _interfaceCount; i++)
        {
            if (_interfaces[i].Id == interfaceId)
            {
                record = _interfaces[i];
                return true;
            }
        }

        record = default;
        return false;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _interfaces.Dispose();
        _addresses.Dispose();
    }
}
