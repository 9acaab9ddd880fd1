// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Http;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Execution;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.DataPlane;
using Pronghorn.LoadBalancer.Explain;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Web;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>
/// The load balancer of a node: attaches the data plane, follows the cluster, answers health checks, metrics and the command
/// line. When it ends, the data plane works on; <see cref="Remove"/> takes it away.
/// </summary>
public sealed class LoadBalancerDaemon : IControlled, IDisposable
{
    private readonly DaemonOptions _options;
    private readonly StandingProblems _problems;
    private readonly PinLayout _pins;
    private readonly RuntimePaths _paths;
    private readonly DateTimeOffset _started = DateTimeOffset.UtcNow;
    private readonly CancellationTokenSource _stop = new();
    private readonly SystemdNotifier _systemd = new();
    private readonly HealthCheckPorts _healthChecks;
    private readonly DataPlaneSupervisor _dataPlane;
    private BpfMapStore? _store;
    private ServiceProxy? _proxy;

    /// <summary>Makes one; starts nothing.</summary>
    /// <param name="options">How it runs.</param>
    /// <param name="problems">Is told of everything wrong. From any thread.</param>
    /// <exception cref="ArgumentException">The options contradict themselves.</exception>
    public LoadBalancerDaemon(DaemonOptions options, IProblemSink problems)
    {
        ArgumentNullException.ThrowIfNull(options);
        string[] mistakes = [.. options.Maps.Validate(), .. options.Connections.Validate()];
        if (mistakes.Length > 0)
        {
            throw new ArgumentException(string.Join("; ", mistakes));
        }

        _options = options;
        _problems = new StandingProblems(problems);
        _pins = new PinLayout(options.Instance);
        _paths = new RuntimePaths(options.Instance, options.RuntimeRoot);
        _healthChecks = new HealthCheckPorts(_problems);
        _dataPlane = new DataPlaneSupervisor(options, _pins, _problems);
    }

    private ServiceProxy Proxy => _proxy ?? throw new InvalidOperationException("The daemon is not running.");

    private BpfMapStore Store => _store ?? throw new InvalidOperationException("The daemon is not running.");

    /// <summary>Takes an instance's data plane away, and its files. No daemon of it may run.</summary>
    public static void Remove(string instance, string runtimeRoot = RuntimePaths.DefaultRoot)
    {
        DataPlaneSupervisor.Remove(new PinLayout(instance));
        new RuntimePaths(instance, runtimeRoot).Remove();
    }

    /// <summary>Runs until cancelled or told to stop.</summary>
    /// <exception cref="BpfException">The data plane cannot be loaded or attached.</exception>
    /// <exception cref="IOException">Another daemon of the instance runs, or a port or file cannot be used.</exception>
    public async Task RunAsync(CancellationToken cancellation)
    {
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(cancellation, _stop.Token);
        _paths.Create();
        await using FileStream held = HoldLock();

        // What may fail for reasons outside comes before anything is attached.
        await using (_healthChecks)
        await using (await ListenAsync(_options.HealthEndPoint, AnswerHealthAsync))
        await using (await ListenAsync(_options.MetricsEndPoint, AnswerMetricsAsync))
        {
            _dataPlane.Start();
            using var store = new BpfMapStore(_pins, (int)_options.Maps.MaglevSize);
            _store = store;
            _proxy = MakeProxy(store);
            await using ControlServer control = await ControlServer.StartAsync(_paths.ControlSocket, this, _problems);
            try
            {
                await FollowAsync(both.Token);
            }
            catch (OperationCanceledException) when (both.IsCancellationRequested)
            {
                // That is how it ends.
            }
        }

        _systemd.Stopping();
    }

    /// <summary>Lets go of what it holds; <see cref="RunAsync"/> must have ended.</summary>
    public void Dispose()
    {
        _stop.Dispose();
        _dataPlane.Dispose();
    }

    /// <inheritdoc/>
    void IControlled.RequestStop() => _stop.Cancel();

    /// <inheritdoc/>
    FlowExplanation IControlled.Explain(Flow flow) => Proxy.Explain(flow);

    /// <inheritdoc/>
    DaemonStatus IControlled.ReadStatus()
    {
        NodeFacts facts = Proxy.Facts;
        (long batches, long writes, DateTimeOffset lastSync) = Proxy.ReadProgress();
        return new DaemonStatus
        {
            Instance = _options.Instance,
            ProcessId = Environment.ProcessId,
            Started = _started,
            Source = _options.SourceText,
            Synchronized = Proxy.Synchronized.IsCompletedSuccessfully,
            Node = facts.Name,
            Zone = facts.Zone,
            Addresses = [.. facts.PrimaryAddresses.Union(facts.Addresses).Select(address => address.ToString())],
            PodRanges = [.. facts.PodRanges.Select(range => range.ToString())],
            Services = Proxy.ReadServices().Length,
            ServicePorts = Proxy.ReadIdentifiers().Count,
            Attachments = [.. _dataPlane.ReadAttachments()],
            Maps =
            [
                .. Proxy.ReadUsage().Select(one =>
                    new MapStatus(ServiceMaps.NameOf(one.Map), ServiceMaps.SettingOf(one.Map), one.Used, one.Capacity)),
            ],
            HealthCheckPorts = [.. _healthChecks.Ports],
            Batches = batches,
            Writes = writes,
            LastSync = lastSync == default ? null : lastSync,
            Problems = [.. Proxy.ReadProblems().Concat(_problems.Read()).Select(problem => problem.ToString())],
        };
    }

    /// <inheritdoc/>
    ListedPort[] IControlled.ReadList()
    {
        IReadOnlyDictionary<ServicePortName, uint> ids = Proxy.ReadIdentifiers();
        var problems = Proxy.ReadProblemsByService();
        return
        [
            .. from service in Proxy.ReadServices()
               from port in service.Ports
               let id = ids.GetValueOrDefault(port.Name)
               let wrong = problems.GetValueOrDefault(service.Name, [])
               select ServiceListing.Describe(port, id, Store.ReadCount(id), wrong),
        ];
    }

    private FileStream HoldLock()
    {
        try
        {
            var file = new FileStream(_paths.LockFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            file.SetLength(0);
            file.Write(System.Text.Encoding.ASCII.GetBytes($"{Environment.ProcessId}\n"));
            file.Flush();
            return file;
        }
        catch (IOException failure)
        {
            throw new IOException(
                $"another daemon of the instance '{_options.Instance}' runs already ({_paths.LockFile}: {failure.Message})", failure);
        }
    }

    private ServiceProxy MakeProxy(BpfMapStore store)
    {
        int error = NamespaceCookie.TryGet(out ulong cookie);
        if (error < 0)
        {
            throw new BpfException($"The network namespace has no cookie (error {-error}); this needs Linux 5.14.");
        }

        var options = new ServiceProxyOptions
        {
            Node = _options.Node,
            NodeCookie = cookie,
            MaglevSize = (int)_options.Maps.MaglevSize,
            Connections = _options.Connections,
        };
        return new ServiceProxy(store, options, _problems);
    }

    private async Task FollowAsync(CancellationToken cancellation)
    {
        Channel<ClusterChange> changes = Channel.CreateBounded<ClusterChange>(4096);
        var healthUpdates = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        var sweeper = new SocketSweeper(new SocketTerminator(_pins, _options.EndsTcp), _problems);
        Proxy.Changed = _ => healthUpdates.Writer.TryWrite(true);
        Proxy.EndpointsGone = sweeper.Add;
        using var host = new HostAddresses();
        using CancellationTokenSource ended = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task[] tasks =
        [
            _options.Source.RunAsync(changes.Writer, _problems, ended.Token),
            host.RunAsync(changes.Writer),
            Proxy.RunAsync(changes.Reader, ended.Token),
            UpdateHealthChecksAsync(healthUpdates.Reader, ended.Token),
            _dataPlane.RunAsync(ended.Token),
            sweeper.RunAsync(),
            _systemd.WatchAsync(() => true, ended.Token),
            AnnounceAsync(ended.Token),
        ];
        Task first = await Task.WhenAny(tasks.Take(4));
        await ended.CancelAsync();
        host.Dispose();
        sweeper.Complete();
        changes.Writer.TryComplete();
        healthUpdates.Writer.TryComplete();
        await Task.WhenAll(tasks.Select(task => task.ContinueWith(
            _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default)));
        await first;
    }

    private async Task AnnounceAsync(CancellationToken cancellation)
    {
        await Proxy.Synchronized.WaitAsync(cancellation);
        _systemd.Ready($"serving {Proxy.ReadServices().Length} services");

        // To read the whole cluster takes many times what is kept of it, and nothing as large follows.
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
    }

    private async Task UpdateHealthChecksAsync(ChannelReader<bool> updates, CancellationToken cancellation)
    {
        await foreach (bool _ in updates.ReadAllAsync(cancellation))
        {
            try
            {
                await _healthChecks.UpdateAsync(Proxy.ReadServices());
                _problems.Replace("health checks", _healthChecks.FindProblems([_options.HealthEndPoint, _options.MetricsEndPoint]));
            }
            catch (IOException failure)
            {
                _problems.Replace("health checks", [new Problem("health checks", "", failure.Message)]);
            }
        }
    }

    private async Task<IAsyncDisposable> ListenAsync(IPEndPoint? where, RequestDelegate answer) =>
        where is null ? Nothing.Instance : await WebListener.StartAsync(options => options.Listen(where), answer, _problems.ReportWeb);

    /// <summary>As kube-proxy: healthy while what was told is in the maps.</summary>
    private async Task AnswerHealthAsync(HttpContext context)
    {
        bool isLive = context.Request.Path == "/livez";
        if (!isLive && context.Request.Path != "/healthz")
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        (bool isHealthy, DateTimeOffset lastSync) = _proxy?.ReadHealth() ?? default;
        isHealthy &= _dataPlane.IsAttached;
        context.Response.StatusCode = isHealthy || isLive ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        var answer = new HealthAnswer(lastSync, DateTimeOffset.UtcNow, isHealthy);
        await context.Response.WriteAsJsonAsync(answer, ControlJson.Default.HealthAnswer);
    }

    private async Task AnswerMetricsAsync(HttpContext context)
    {
        if (context.Request.Path != "/metrics" || _proxy is null)
        {
            context.Response.StatusCode =
                _proxy is null ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status404NotFound;
            return;
        }

        var text = new MetricsText();
        Proxy.WriteMetrics(text);
        text.Begin("pronghorn_lb_map_entries", "gauge", "Entries of a map in use");
        foreach ((ServiceMap map, int used, _) in Proxy.ReadUsage())
        {
            text.Add("pronghorn_lb_map_entries", used, ("map", ServiceMaps.NameOf(map)));
        }

        text.Begin("pronghorn_lb_map_capacity", "gauge", "Entries that a map may have");
        foreach ((ServiceMap map, _, int capacity) in Proxy.ReadUsage())
        {
            text.Add("pronghorn_lb_map_capacity", capacity, ("map", ServiceMaps.NameOf(map)));
        }

        context.Response.ContentType = MetricsText.ContentType;
        await context.Response.WriteAsync(text.ToString());
    }

    private sealed class Nothing : IAsyncDisposable
    {
        public static Nothing Instance { get; } = new();

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
