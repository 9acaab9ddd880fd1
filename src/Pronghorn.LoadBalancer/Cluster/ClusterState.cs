// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;

namespace Pronghorn.LoadBalancer.Cluster;

/// <summary>
/// The objects of the cluster as last told, by name, with the slices of each service. It says which services a change touches, so
/// that only those are resolved anew: the cost of a change does not depend on how many services there are. Not for use by several threads.
/// </summary>
public sealed class ClusterState
{
    private readonly Dictionary<ObjectName, Service> _services = [];
    private readonly Dictionary<ObjectName, EndpointSlice> _slices = [];
    private readonly Dictionary<ObjectName, SortedDictionary<string, EndpointSlice>> _slicesByService = [];

    /// <summary>The services, in no order.</summary>
    public IReadOnlyCollection<Service> Services => _services.Values;

    /// <summary>How many slices there are.</summary>
    public int SliceCount => _slices.Count;

    /// <summary>This node's object; null until it is told.</summary>
    public Node? Node { get; private set; }

    /// <summary>Whether the whole of services and the whole of slices have been told: before that, absence means nothing.</summary>
    public bool IsComplete => HasServices && HasSlices;

    private bool HasServices { get; set; }

    private bool HasSlices { get; set; }

    /// <summary>A service; null if there is none of that name.</summary>
    public Service? FindService(ObjectName name) => _services.GetValueOrDefault(name);

    /// <summary>The slices of a service, in the order of their names; also of a service that is not there (yet).</summary>
    public IReadOnlyList<EndpointSlice> SlicesOf(ObjectName service) =>
        _slicesByService.TryGetValue(service, out SortedDictionary<string, EndpointSlice>? slices) ? [.. slices.Values] : [];

    /// <summary>Takes a change.</summary>
    /// <returns>The services, also those now gone, whose resolution may differ; every service if it was this node that changed.</returns>
    public IReadOnlySet<ObjectName> Apply(ClusterChange change)
    {
        ArgumentNullException.ThrowIfNull(change);
        HashSet<ObjectName> touched = [];
        switch (change)
        {
            case ServiceApplied applied:
                Set(applied.Service, touched);
                break;
            case ServiceRemoved removed:
                Remove(removed.Name, touched);
                break;
            case ServicesListed listed:
                Replace(_services, listed.Services.Select(service => service.Metadata.FullName), name => Remove(name, touched));
                foreach (Service service in listed.Services)
                {
                    Set(service, touched);
                }

                HasServices = true;
                break;
            case EndpointSliceApplied applied:
                Set(applied.Slice, touched);
                break;
            case EndpointSliceRemoved removed:
                RemoveSlice(removed.Name, touched);
                break;
            case EndpointSlicesListed listed:
                Replace(_slices, listed.Slices.Select(slice => slice.Metadata.FullName), name => RemoveSlice(name, touched));
                foreach (EndpointSlice slice in listed.Slices)
                {
                    Set(slice, touched);
                }

                HasSlices = true;
                break;
            case NodeApplied applied:
                Node = applied.Node;
                touched.UnionWith(_services.Keys);
                break;
            default:
                throw new ArgumentException($"a change of type {change.GetType().Name} is not known", nameof(change));
        }

        return touched;
    }

    /// <summary>Removes what is not named any more.</summary>
    private static void Replace<TObject>(
        Dictionary<ObjectName, TObject> objects, IEnumerable<ObjectName> names, Action<ObjectName> remove)
    {
        HashSet<ObjectName> listed = [.. names];
        foreach (ObjectName gone in objects.Keys.Where(name => !listed.Contains(name)).ToArray())
        {
            remove(gone);
        }
    }

    private static bool IsSame(Metadata known, Metadata told) =>
        known.ResourceVersion.Length > 0 && known.ResourceVersion == told.ResourceVersion && known.Uid == told.Uid;

    private static ObjectName? ServiceOf(EndpointSlice slice) =>
        slice.Metadata.Labels is { } labels && labels.TryGetValue(EndpointSlice.ServiceNameLabel, out string? service)
            && !string.IsNullOrEmpty(service)
            ? new ObjectName(slice.Metadata.Namespace, service) : null;

    private void Set(Service service, HashSet<ObjectName> touched)
    {
        ObjectName name = service.Metadata.FullName;
        if (_services.TryGetValue(name, out Service? known) && IsSame(known.Metadata, service.Metadata))
        {
            return;
        }

        _services[name] = service;
        touched.Add(name);
    }

    private void Remove(ObjectName service, HashSet<ObjectName> touched)
    {
        if (_services.Remove(service))
        {
            touched.Add(service);
        }
    }

    private void Set(EndpointSlice slice, HashSet<ObjectName> touched)
    {
        ObjectName name = slice.Metadata.FullName;
        if (_slices.TryGetValue(name, out EndpointSlice? known) && IsSame(known.Metadata, slice.Metadata))
        {
            return;
        }

        // The label may have moved the slice to another service: both change.
        RemoveSlice(name, touched);
        _slices.Add(name, slice);
        if (ServiceOf(slice) is not { } service)
        {
            return;
        }

        if (!_slicesByService.TryGetValue(service, out SortedDictionary<string, EndpointSlice>? slices))
        {
            slices = new SortedDictionary<string, EndpointSlice>(StringComparer.Ordinal);
            _slicesByService.Add(service, slices);
        }

        slices[name.Name] = slice;
        touched.Add(service);
    }

    private void RemoveSlice(ObjectName name, HashSet<ObjectName> touched)
    {
        if (!_slices.Remove(name, out EndpointSlice? slice) || ServiceOf(slice) is not { } service)
        {
            return;
        }

        SortedDictionary<string, EndpointSlice> slices = _slicesByService[service];
        slices.Remove(name.Name);
        if (slices.Count == 0)
        {
            _slicesByService.Remove(service);
        }

        touched.Add(service);
    }
}
