// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Planning;

/// <summary>
/// Looks at the maps after every single write, as a program does that runs between two: each frontend must be complete, and
/// lead to a backend that its set has before or after the change.
/// </summary>
internal sealed class WriteChecker
{
    private static readonly ClientClass[] s_clients = Enum.GetValues<ClientClass>();

    private readonly MapContent _maps;
    private readonly Dictionary<uint, List<ServiceKey>> _usersOfSet = [];
    private readonly Dictionary<uint, int> _slotsOfBackend = [];
    private ExpectedTable[] _worlds = [];

    public WriteChecker(MemoryMapStore store)
    {
        Store = store;
        _maps = store.Content;
        foreach ((ServiceKey key, ServiceValue value) in _maps.Services)
        {
            AddUser(key, value, 1);
        }

        foreach (uint backend in _maps.Slots.Where(pair => pair.Key.Set != 0).Select(pair => pair.Value))
        {
            _slotsOfBackend[backend] = _slotsOfBackend.GetValueOrDefault(backend) + 1;
        }
    }

    public MemoryMapStore Store { get; }

    /// <summary>Executes writes; what a client gets must be right in one of the worlds.</summary>
    public void Execute(IEnumerable<MapWrite> writes, params ExpectedTable[] worlds)
    {
        _worlds = worlds;
        foreach (MapWrite write in writes)
        {
            Forget(write);
            Store.Execute(write);
            Check(write);
        }
    }

    private void Forget(in MapWrite write)
    {
        if (write.Map == ServiceMap.Services && _maps.Services.TryGetValue(write.KeyAs<ServiceKey>(), out ServiceValue value))
        {
            AddUser(write.KeyAs<ServiceKey>(), value, -1);
        }

        if (write.Map == ServiceMap.Slots && write.KeyAs<SlotKey>().Set != 0
            && _maps.Slots.TryGetValue(write.KeyAs<SlotKey>(), out uint backend))
        {
            _slotsOfBackend[backend]--;
        }
    }

    private void Check(in MapWrite write)
    {
        switch (write.Map)
        {
            case ServiceMap.Services when !write.IsDelete:
                ServiceKey key = write.KeyAs<ServiceKey>();
                AddUser(key, write.ValueAs<ServiceValue>(), 1);
                CheckFrontend(key);
                break;
            case ServiceMap.Slots when write.KeyAs<SlotKey>().Set != 0:
                if (!write.IsDelete)
                {
                    uint backend = write.ValueAs<uint>();
                    _slotsOfBackend[backend] = _slotsOfBackend.GetValueOrDefault(backend) + 1;
                }

                CheckUsers(write.KeyAs<SlotKey>().Set);
                break;
            case ServiceMap.Backends when write.IsDelete:
                uint id = write.KeyAs<uint>();
                Assert.Equal(0, _slotsOfBackend.GetValueOrDefault(id));
                Assert.DoesNotContain(_maps.Tables.Values, table => table.Contains(id));
                break;
            case ServiceMap.Members:
                CheckUsers(write.KeyAs<MemberKey>().Set);
                break;
            case ServiceMap.Maglev:
                CheckUsers(write.KeyAs<uint>());
                break;
            case ServiceMap.ServiceCounts when write.IsDelete:
                uint service = write.KeyAs<uint>();
                Assert.DoesNotContain(_maps.Services.Values, value => value.Service == service);
                break;
        }
    }

    private void CheckUsers(uint set)
    {
        foreach (ServiceKey key in _usersOfSet.GetValueOrDefault(set, []))
        {
            CheckFrontend(key);
        }
    }

    private void CheckFrontend(ServiceKey key)
    {
        ServiceValue value = _maps.Services[key];
        Assert.Contains(value.Service, _maps.Counted);
        foreach (ClientClass client in s_clients)
        {
            ServiceView view = value[client];
            if (view.Action != ServiceViewAction.Forward)
            {
                continue;
            }

            Assert.NotEqual(0u, view.Count);
            for (uint slot = 0; slot < view.Count; slot++)
            {
                CheckBackend(key, client, _maps.Slots[new SlotKey { Set = view.Set, Slot = slot }]);
            }

            if ((value.Flags & ServiceFlags.Maglev) != 0)
            {
                foreach (uint id in _maps.Tables[view.Set].Distinct())
                {
                    CheckBackend(key, client, id);
                }
            }
        }
    }

    private void CheckBackend(ServiceKey key, ClientClass client, uint id)
    {
        Backend backend = _maps.Backends[id].ToBackend();
        FrontendKey frontend = key.ToFrontendKey();
        foreach (ExpectedTable world in _worlds)
        {
            if (world.SetOf(frontend, client) is not { } set)
            {
                continue;
            }

            foreach (ExpectedTable other in _worlds)
            {
                if (Has(other, set, backend))
                {
                    return;
                }
            }
        }

        Assert.Fail($"{frontend} leads a client of class {client} to {backend}");
    }

    private static bool Has(ExpectedTable world, (ServicePortName Port, EndpointScope Scope) set, Backend backend)
    {
        foreach (Backend other in world.BackendsOf(set))
        {
            if (other.Address == backend.Address && other.Port == backend.Port && other.Protocol == backend.Protocol)
            {
                return true;
            }
        }

        return false;
    }

    private void AddUser(ServiceKey key, in ServiceValue value, int change)
    {
        foreach (uint set in new[] { value.Pod.Set, value.Node.Set, value.External.Set }.Distinct())
        {
            if (!_usersOfSet.TryGetValue(set, out List<ServiceKey>? users))
            {
                _usersOfSet.Add(set, users = []);
            }

            if (change > 0)
            {
                users.Add(key);
            }
            else
            {
                users.Remove(key);
            }
        }
    }
}
