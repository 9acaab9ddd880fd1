// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Tests.Planning;

/// <summary>A small world of services that changes at random: so small that services meet at addresses and endpoints.</summary>
internal sealed class RandomServices
{
    private const int Names = 7;

    private readonly Random _random;
    private readonly Dictionary<ObjectName, ServiceState> _services = [];

    public RandomServices(int seed) => _random = new Random(seed);

    public IReadOnlyCollection<ServiceState> All => _services.Values;

    /// <summary>One change.</summary>
    public void Change(out List<ServiceState> applied, out List<ObjectName> removed)
    {
        applied = [];
        removed = [];
        int count = _random.Next(10) == 0 ? _random.Next(2, 5) : 1;
        for (int index = 0; index < count; index++)
        {
            var name = new ObjectName("shop", $"s{_random.Next(Names)}");
            if (_services.TryGetValue(name, out ServiceState? present) && _random.Next(8) == 0)
            {
                _services.Remove(name);
                applied.RemoveAll(state => state.Name == name);
                removed.Add(name);
                continue;
            }

            ServiceState state = present is null || _random.Next(12) == 0 ? Make(name) : Alter(present);
            _services[name] = state;
            removed.Remove(name);
            applied.Add(state);
        }
    }

    private ServiceState Make(ObjectName name) => new()
    {
        Name = name,
        Created = _random.Next(3) == 0 ? null : DateTimeOffset.UnixEpoch.AddDays(_random.Next(3)),
        Ports = Distinct([.. Enumerable.Range(0, _random.Next(3)).Select(index => MakePort(name, $"p{index}"))]),
    };

    /// <summary>Keys are unique within a service, as the resolver sees to.</summary>
    private static ImmutableArray<ServicePortState> Distinct(ImmutableArray<ServicePortState> ports)
    {
        var keys = new HashSet<FrontendKey>();
        return [.. ports.Select(port => port with { Frontends = [.. port.Frontends.Where(frontend => keys.Add(frontend.Key))] })];
    }

    private ServiceState Alter(ServiceState state)
    {
        if (state.Ports.IsEmpty)
        {
            return Make(state.Name);
        }

        int index = _random.Next(state.Ports.Length);
        ServicePortState port = state.Ports[index];
        port = _random.Next(12) switch
        {
            0 => port with { AffinityTimeout = port.AffinityTimeout == TimeSpan.Zero ? TimeSpan.FromSeconds(60) : TimeSpan.Zero },
            1 => port with { Algorithm = 1 - port.Algorithm },
            2 => port with { SourceRanges = MakeRanges() },
            3 => port with { Frontends = MakeFrontends(port.Name) },
            4 => port with { DirectReturn = !port.DirectReturn },
            5 or 6 => port with { LocalBackends = MakeBackends(port.Name) },
            7 => MakePort(state.Name, port.Name.Port),
            _ => port with { ClusterBackends = AlterBackends(port) },
        };
        return state with { Ports = Distinct(state.Ports.RemoveAt(index).Add(port)) };
    }

    private ServicePortState MakePort(ObjectName service, string port)
    {
        var name = new ServicePortName(service, port, _random.Next(3) == 0 ? IpProtocol.Udp : IpProtocol.Tcp, _random.Next(3) == 0);
        return new ServicePortState
        {
            Name = name,
            Frontends = MakeFrontends(name),
            ClusterBackends = MakeBackends(name),
            LocalBackends = MakeBackends(name),
            AffinityTimeout = TimeSpan.FromSeconds(_random.Next(3) == 0 ? 60 : 0),
            Algorithm = _random.Next(5) == 0 ? SelectionAlgorithm.Maglev : SelectionAlgorithm.Random,
            SourceRanges = MakeRanges(),
        };
    }

    private ImmutableArray<Frontend> MakeFrontends(ServicePortName name)
    {
        var frontends = ImmutableArray.CreateBuilder<Frontend>();
        for (int count = _random.Next(4); count > 0; count--)
        {
            var kind = (FrontendKind)_random.Next(1, 5);
            IpAddress any = name.IsIpv6 ? IpAddress.AnyIpv6 : IpAddress.AnyIpv4;
            IpAddress address = kind == FrontendKind.NodePort ? any : AddressOf(name, 0x0A60_0000u + (uint)_random.Next(4));
            var key = new FrontendKey(address, (ushort)(80 + _random.Next(2)), name.Protocol);
            if (frontends.All(other => other.Key != key))
            {
                frontends.Add(new Frontend(key, kind, MakeView(), MakeView(), MakeView()));
            }
        }

        return frontends.ToImmutable();
    }

    private FrontendView MakeView()
    {
        FrontendAction action = _random.Next(5) switch
        {
            0 => FrontendAction.Reject,
            1 => FrontendAction.Drop,
            _ => FrontendAction.Forward,
        };
        return new FrontendView(
            action, (EndpointScope)_random.Next(2), _random.Next(2) == 0, _random.Next(4) == 0, _random.Next(2) == 0);
    }

    private ImmutableArray<Backend> AlterBackends(ServicePortState port)
    {
        List<Backend> backends = [.. port.ClusterBackends];
        Backend other = MakeBackend(port.Name);
        bool isThere = backends.RemoveAll(backend => backend.Address == other.Address && backend.Port == other.Port) > 0;
        if (!isThere || _random.Next(4) == 0)
        {
            backends.Insert(_random.Next(backends.Count + 1), other);
        }

        return [.. backends];
    }

    private ImmutableArray<Backend> MakeBackends(ServicePortName name) =>
        [.. Enumerable.Range(0, _random.Next(6)).Select(_ => MakeBackend(name)).DistinctBy(backend => (backend.Address, backend.Port))];

    private Backend MakeBackend(ServicePortName name) => new(
        AddressOf(name, 0x0AF4_0000u + (uint)_random.Next(6)), (ushort)(8080 + _random.Next(2)), name.Protocol, _random.Next(3) == 0);

    private static IpAddress AddressOf(ServicePortName name, uint number) =>
        name.IsIpv6 ? new IpAddress(0xFD00_0000_0000_0000, number) : IpAddress.FromIpv4(number);

    private ImmutableArray<AddressRange> MakeRanges() =>
        [.. Enumerable.Range(0, _random.Next(3)).Select(_ => new AddressRange(IpAddress.FromIpv4((uint)_random.Next(3) << 16), 16))];
}
