// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.DataPlane;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>Which endpoints there are at all, ready or not: connections to those that vanish lead nowhere.</summary>
public sealed partial class ServiceProxy
{
    private readonly Dictionary<ObjectName, HashSet<BackendEnd>> _endsOfService = [];
    private readonly Dictionary<BackendEnd, int> _holders = [];

    private static void Collect(EndpointSlice slice, HashSet<BackendEnd> ends)
    {
        foreach (Endpoint endpoint in slice.Endpoints ?? [])
        {
            if (endpoint.Addresses is not [var text, ..] || !IpAddress.TryParse(text, out IpAddress address))
            {
                continue;
            }

            foreach (EndpointPort port in slice.Ports ?? [])
            {
                IpProtocol? protocol = port.Protocol switch
                {
                    null or "TCP" => IpProtocol.Tcp,
                    "UDP" => IpProtocol.Udp,
                    _ => null,
                };
                if (protocol is not null && port.Port is > 0 and <= ushort.MaxValue)
                {
                    ends.Add(new BackendEnd(address, (ushort)port.Port, protocol.Value));
                }
            }
        }
    }

    private void TellGone(IEnumerable<ObjectName> touched)
    {
        var gone = new HashSet<BackendEnd>();
        foreach (ObjectName service in touched)
        {
            var now = new HashSet<BackendEnd>();
            if (_cluster.FindService(service) is not null)
            {
                foreach (EndpointSlice slice in _cluster.SlicesOf(service))
                {
                    Collect(slice, now);
                }
            }

            Exchange(service, now, gone);
        }

        gone.RemoveWhere(_holders.ContainsKey);
        if (gone.Count > 0)
        {
            EndpointsGone?.Invoke(gone);
        }
    }

    /// <summary>Several services may have one endpoint: it is gone when the last of them loses it.</summary>
    private void Exchange(ObjectName service, HashSet<BackendEnd> now, HashSet<BackendEnd> gone)
    {
        HashSet<BackendEnd> before = _endsOfService.GetValueOrDefault(service, []);
        foreach (BackendEnd end in now)
        {
            if (!before.Contains(end))
            {
                _holders[end] = _holders.GetValueOrDefault(end) + 1;
            }
        }

        foreach (BackendEnd end in before)
        {
            if (!now.Contains(end) && --_holders[end] == 0)
            {
                _holders.Remove(end);
                gone.Add(end);
            }
        }

        if (now.Count > 0)
        {
            _endsOfService[service] = now;
        }
        else
        {
            _endsOfService.Remove(service);
        }
    }
}
