// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.LoadBalancer.Cluster;

namespace Pronghorn.LoadBalancer.Sources.KubernetesApi;

/// <summary>The services, endpoint slices and this node's object of a Kubernetes cluster.</summary>
public sealed class KubernetesApiSource : IClusterSource
{
    private readonly ApiServerAccess _access;
    private readonly KubernetesApiSettings _settings;

    /// <summary>Makes a source; nothing is asked yet.</summary>
    public KubernetesApiSource(ApiServerAccess access, KubernetesApiSettings? settings = null)
    {
        _access = access;
        _settings = settings ?? new KubernetesApiSettings();
    }

    /// <inheritdoc/>
    public async Task RunAsync(ChannelWriter<ClusterChange> changes, IProblemSink reports, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(changes);
        ArgumentNullException.ThrowIfNull(reports);
        using var client = new ApiClient(_access, _settings.AnswerTime);
        List<Task> watchers =
        [
            new ResourceWatcher<Service>(client, Services(), changes, reports, _settings).RunAsync(cancellation),
            new ResourceWatcher<EndpointSlice>(client, Slices(), changes, reports, _settings).RunAsync(cancellation),
        ];
        if (_settings.NodeName is not null)
        {
            watchers.Add(new ResourceWatcher<Node>(client, ThisNode(), changes, reports, _settings).RunAsync(cancellation));
        }

        try
        {
            await Task.WhenAll(watchers);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // That is how it ends.
        }
    }

    private ApiResource<Service> Services() => new(
        "api/v1/services",
        LabelSelector(),
        KubernetesJson.ReadService,
        static item => new ServiceApplied(item),
        static name => new ServiceRemoved(name),
        static items => new ServicesListed(items));

    private ApiResource<EndpointSlice> Slices() => new(
        "apis/discovery.k8s.io/v1/endpointslices",
        LabelSelector(),
        KubernetesJson.ReadEndpointSlice,
        static item => new EndpointSliceApplied(item),
        static name => new EndpointSliceRemoved(name),
        static items => new EndpointSlicesListed(items));

    private ApiResource<Node> ThisNode() => new(
        "api/v1/nodes",
        "fieldSelector=" + Uri.EscapeDataString($"metadata.name={_settings.NodeName}"),
        KubernetesJson.ReadNode,
        static item => new NodeApplied(item),
        Removed: null,
        Listed: null);

    /// <summary>The server sends only what a proxy serves: neither headless services nor those of another proxy.</summary>
    private string LabelSelector()
    {
        string proxy = _settings.ServiceProxyName is null
            ? "!service.kubernetes.io/service-proxy-name"
            : $"service.kubernetes.io/service-proxy-name={_settings.ServiceProxyName}";
        return "labelSelector=" + Uri.EscapeDataString($"{proxy},!service.kubernetes.io/headless");
    }
}
