// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Net;
using System.Net.Mime;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Web;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>
/// Answers the health checks of load balancers: one port for each service with externalTrafficPolicy Local, 200 while this
/// node has a ready endpoint of it and 503 otherwise, with the document that kube-proxy answers with.
/// </summary>
internal sealed class HealthCheckPorts : IAsyncDisposable
{
    private readonly ConcurrentDictionary<int, ServiceState> _services = new();
    private readonly Dictionary<ObjectName, int> _ports = [];
    private readonly PortConfiguration _configuration = new();
    private readonly IProblemSink _problems;
    private WebListener? _listener;

    public HealthCheckPorts(IProblemSink problems) => _problems = problems;

    /// <summary>Ports that are answered.</summary>
    public IReadOnlyCollection<int> Ports => [.. _services.Keys.Order()];

    /// <summary>Takes the services as they are now; one that has no port any more loses it.</summary>
    public async Task UpdateAsync(IReadOnlyCollection<ServiceState> services)
    {
        var wanted = services.Where(service => service.HealthCheckNodePort != 0).ToDictionary(service => service.Name);
        bool changed = false;
        foreach (ObjectName gone in _ports.Keys.Where(name => !wanted.ContainsKey(name)).ToArray())
        {
            changed |= _services.TryRemove(_ports[gone], out _);
            _ports.Remove(gone);
        }

        foreach (ServiceState service in wanted.Values)
        {
            int port = service.HealthCheckNodePort;
            if (_ports.TryGetValue(service.Name, out int before) && before != port)
            {
                _services.TryRemove(before, out _);
            }

            changed |= !_services.ContainsKey(port);
            _services[port] = service;
            _ports[service.Name] = port;
        }

        if (changed)
        {
            await ListenAsync();
        }
    }

    /// <summary>Services whose health check cannot be answered as they want.</summary>
    /// <param name="taken">Where this daemon answers something else.</param>
    public IReadOnlyCollection<Problem> FindProblems(IReadOnlyCollection<IPEndPoint?> taken)
    {
        const string Field = "spec.healthCheckNodePort";
        List<Problem> problems = [];
        foreach (IGrouping<int, ObjectName> port in _ports.GroupBy(one => one.Value, one => one.Key))
        {
            ObjectName[] names = [.. port.OrderBy(name => name.ToString(), StringComparer.Ordinal)];
            problems.AddRange(names.Skip(1).Select(name => new Problem(
                $"Service {name}", Field, $"{port.Key} is that of Service {names[0]} too, and one answer is given for both. Change one")));
            if (taken.Any(end => end?.Port == port.Key))
            {
                problems.AddRange(names.Select(name => new Problem(
                    $"Service {name}", Field, $"{port.Key} is where this daemon answers /healthz or /metrics. Move one of them")));
            }
        }

        return problems;
    }

    public ValueTask DisposeAsync() => _listener?.DisposeAsync() ?? ValueTask.CompletedTask;

    private async Task ListenAsync()
    {
        _configuration.Set(_services.Keys);
        if (_listener is null && !_services.IsEmpty)
        {
            var root = new ConfigurationRoot([_configuration]);
            _listener = await WebListener.StartAsync(
                options => options.Configure(root, reloadOnChange: true), AnswerAsync, _problems.ReportWeb);
        }
    }

    private async Task AnswerAsync(HttpContext context)
    {
        if (!_services.TryGetValue(context.Connection.LocalPort, out ServiceState? service))
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        int endpoints = service.LocalReadyEndpoints;
        context.Response.StatusCode = endpoints > 0 ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        context.Response.ContentType = MediaTypeNames.Application.Json;
        context.Response.Headers["X-Content-Type-Options"] = "nosniff";
        context.Response.Headers["X-Load-Balancing-Endpoint-Weight"] = endpoints.ToString(CultureInfo.InvariantCulture);
        var answer = new HealthCheckAnswer(new HealthCheckService(service.Name.Namespace, service.Name.Name), endpoints, true);
        await context.Response.WriteAsJsonAsync(answer, ControlJson.Default.HealthCheckAnswer);
    }

    /// <summary>Where the server listens, as configuration that changes: it opens and closes ports without touching the others.</summary>
    private sealed class PortConfiguration : ConfigurationProvider
    {
        public void Set(IEnumerable<int> ports)
        {
            Data = ports.ToDictionary(
                port => $"Endpoints:port{port}:Url", port => (string?)$"http://*:{port}", StringComparer.OrdinalIgnoreCase);
            OnReload();
        }
    }
}
