// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;

namespace Pronghorn.LoadBalancer.Planning;

/// <summary>That a service port wants a frontend.</summary>
internal sealed record Claim(ServiceRecord Service, PortRecord Port, Frontend Frontend) : IComparable<Claim>
{
    /// <summary>
    /// The older service has it, then the smaller name. One whose age is not known counts as younger than any other.
    /// </summary>
    public int CompareTo(Claim? other)
    {
        if (other is null)
        {
            return -1;
        }

        DateTimeOffset mine = Service.Created ?? DateTimeOffset.MaxValue;
        int order = mine.CompareTo(other.Service.Created ?? DateTimeOffset.MaxValue);
        order = order != 0 ? order : string.CompareOrdinal(Service.Name.Namespace, other.Service.Name.Namespace);
        return order != 0 ? order : string.CompareOrdinal(Service.Name.Name, other.Service.Name.Name);
    }
}

/// <summary>A frontend, with all that want it.</summary>
internal sealed class FrontendEntry
{
    public FrontendEntry(in FrontendKey key) => Key = key;

    public FrontendKey Key { get; }

    /// <summary>The one that has it; null when nobody wants it any more.</summary>
    public Claim? Owner { get; private set; }

    /// <summary>The others. Almost always none.</summary>
    public List<Claim>? Others { get; private set; }

    public bool IsWritten { get; set; }

    public ServiceValue Written { get; set; }

    public bool IsTouched { get; set; }

    public Claim? ClaimOf(ServiceRecord service) =>
        Owner?.Service == service ? Owner : Others?.Find(claim => claim.Service == service);

    /// <summary>Takes a claim, in place of an earlier one of the same service.</summary>
    public void Put(Claim claim) => Decide(claim.Service, claim);

    /// <summary>Drops the claim of a service.</summary>
    public void Remove(ServiceRecord service) => Decide(service, null);

    private void Decide(ServiceRecord service, Claim? claim)
    {
        if (Others is null && (Owner is null || Owner.Service == service))
        {
            Owner = claim;
            return;
        }

        List<Claim> all = [.. Others ?? [], Owner!];
        all.RemoveAll(other => other.Service == service);
        if (claim is not null)
        {
            all.Add(claim);
        }

        all.Sort();
        Owner = all.FirstOrDefault();
        Others = all.Count > 1 ? all[1..] : null;
    }
}

/// <summary>All frontends, and whose they are.</summary>
internal sealed class FrontendTable
{
    private readonly Dictionary<FrontendKey, FrontendEntry> _entries = [];
    private readonly List<FrontendEntry> _touched = [];

    public IEnumerable<FrontendEntry> Entries => _entries.Values;

    public FrontendEntry? Find(in FrontendKey key) => _entries.GetValueOrDefault(key);

    /// <summary>Makes a service claim exactly the frontends of its ports.</summary>
    /// <param name="service">The service.</param>
    /// <param name="disputed">Is told of every service whose claim meets another.</param>
    public void Claim(ServiceRecord service, Action<ServiceRecord> disputed)
    {
        var claims = new List<FrontendEntry>();
        var keys = new HashSet<FrontendKey>();
        foreach (PortRecord port in service.Ports.Values)
        {
            foreach (Frontend frontend in port.State.Frontends)
            {
                if (keys.Add(frontend.Key))
                {
                    FrontendEntry entry = GetOrAdd(frontend.Key);
                    entry.Put(new Claim(service, port, frontend));
                    claims.Add(entry);
                    Touch(entry, disputed);
                }
            }
        }

        foreach (FrontendEntry entry in service.Claims)
        {
            if (!keys.Contains(entry.Key))
            {
                Touch(entry, disputed);
                entry.Remove(service);
            }
        }

        service.Claims = claims;
    }

    /// <summary>Writes what has changed in this round.</summary>
    public void Flush(PlanBuilder plan)
    {
        foreach (FrontendEntry entry in _touched)
        {
            entry.IsTouched = false;
            var key = ServiceKey.From(entry.Key);
            if (entry.Owner is null)
            {
                _entries.Remove(entry.Key);
                if (entry.IsWritten)
                {
                    plan.DeleteFrontend(key);
                }

                continue;
            }

            ServiceValue value = entry.Owner.Port.ValueOf(entry.Owner.Frontend);
            if (!entry.IsWritten || entry.Written != value)
            {
                plan.PutFrontend(key, value, isNew: !entry.IsWritten);
                entry.IsWritten = true;
                entry.Written = value;
            }
        }

        _touched.Clear();
    }

    private FrontendEntry GetOrAdd(in FrontendKey key)
    {
        if (!_entries.TryGetValue(key, out FrontendEntry? entry))
        {
            entry = new FrontendEntry(key);
            _entries.Add(key, entry);
        }

        return entry;
    }

    private void Touch(FrontendEntry entry, Action<ServiceRecord> disputed)
    {
        if (!entry.IsTouched)
        {
            entry.IsTouched = true;
            _touched.Add(entry);
        }

        if (entry.Others is not null)
        {
            disputed(entry.Owner!.Service);
            entry.Others.ForEach(claim => disputed(claim.Service));
        }
    }
}
