// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Planning;

/// <summary>A backend with its identifier; sets share it.</summary>
internal sealed class BackendEntry
{
    public BackendEntry(uint id, in Backend backend, bool isWritten)
    {
        Id = id;
        Address = backend.Address;
        Port = backend.Port;
        Protocol = backend.Protocol;
        IsWritten = isWritten;
        WrittenLocal = backend.IsLocal;
    }

    public uint Id { get; }

    public IpAddress Address { get; }

    public ushort Port { get; }

    public IpProtocol Protocol { get; }

    /// <summary>Places in sets that hold it.</summary>
    public int References { get; set; }

    /// <summary>How many of these say that it runs on this node. Two slices may disagree; one suffices.</summary>
    public int LocalReferences { get; set; }

    public bool IsWritten { get; set; }

    public bool WrittenLocal { get; set; }

    public bool IsTouched { get; set; }

    public Backend ToBackend() => new(Address, Port, Protocol, LocalReferences > 0);
}

/// <summary>All backends by address, port and protocol, with counted references.</summary>
internal sealed class BackendTable
{
    private readonly Dictionary<(IpAddress Address, ushort Port, IpProtocol Protocol), BackendEntry> _entries = [];
    private readonly List<BackendEntry> _touched = [];
    private readonly Identifiers _identifiers;

    public BackendTable(Identifiers identifiers) => _identifiers = identifiers;

    public IEnumerable<BackendEntry> Entries => _entries.Values;

    /// <summary>Takes over a backend of an earlier run; of two with one address the first.</summary>
    public BackendEntry Restore(uint id, in Backend backend)
    {
        var entry = new BackendEntry(id, backend, isWritten: true);
        return _entries.TryAdd((backend.Address, backend.Port, backend.Protocol), entry) ? entry : Find(backend)!;
    }

    /// <summary>Forgets backends of an earlier run that nobody took.</summary>
    public void ForgetUnused()
    {
        foreach (KeyValuePair<(IpAddress, ushort, IpProtocol), BackendEntry> pair in _entries)
        {
            if (pair.Value.References == 0)
            {
                // Removal does not disturb the enumeration.
                _entries.Remove(pair.Key);
            }
        }
    }

    public BackendEntry? Find(in Backend backend) =>
        _entries.TryGetValue((backend.Address, backend.Port, backend.Protocol), out BackendEntry? entry) ? entry : null;

    public BackendEntry Acquire(in Backend backend)
    {
        BackendEntry? entry = Find(backend);
        if (entry is null)
        {
            entry = new BackendEntry(_identifiers.Next(), backend, isWritten: false);
            _entries.Add((backend.Address, backend.Port, backend.Protocol), entry);
        }

        entry.References++;
        entry.LocalReferences += backend.IsLocal ? 1 : 0;
        Touch(entry);
        return entry;
    }

    public void Release(BackendEntry entry, bool wasLocal)
    {
        entry.References--;
        entry.LocalReferences -= wasLocal ? 1 : 0;
        Touch(entry);
    }

    /// <summary>Writes what has changed in this round. A backend that moved from one set to another stays.</summary>
    public void Flush(PlanBuilder plan)
    {
        foreach (BackendEntry entry in _touched)
        {
            entry.IsTouched = false;
            if (entry.References == 0)
            {
                _entries.Remove((entry.Address, entry.Port, entry.Protocol));
                if (entry.IsWritten)
                {
                    plan.DeleteBackend(entry.Id);
                }

                continue;
            }

            bool isLocal = entry.LocalReferences > 0;
            if (!entry.IsWritten || entry.WrittenLocal != isLocal)
            {
                plan.PutBackend(entry.Id, BackendValue.From(entry.ToBackend()), isNew: !entry.IsWritten);
                entry.IsWritten = true;
                entry.WrittenLocal = isLocal;
            }
        }

        _touched.Clear();
    }

    private void Touch(BackendEntry entry)
    {
        if (!entry.IsTouched)
        {
            entry.IsTouched = true;
            _touched.Add(entry);
        }
    }
}
