// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.IO.Compression;
using System.Linq;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Pronghorn.Lab;

namespace Pronghorn.LoadBalancer.Tests.Sources;

/// <summary>
/// A Kubernetes API server as a client of services sees it: list in pages, watch, bookmarks, streaming lists, selectors,
/// history that is compacted, errors as Status objects. What it answers has the shape of recorded answers of a real one.
/// </summary>
internal sealed class ApiServer : IAsyncDisposable
{
    private readonly ApiStore _store;
    private readonly ApiServerOptions _options;
    private WebApplication? _application;
    private int _port;

    public ApiServer(ApiStore store, ApiServerOptions? options = null)
    {
        _store = store;
        _options = options ?? new ApiServerOptions();
    }

    /// <summary>Requests answered, oldest first: path and query.</summary>
    public List<string> Requests { get; } = [];

    public Uri Address => new($"{(_options.Certificate is null ? "http" : "https")}://127.0.0.1:{_port}/");

    /// <summary>Begins to listen: on a free port at first, later on the same again.</summary>
    public async Task StartAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(Configure);
        if (_options.Place is NetworkNamespace place)
        {
            builder.WebHost.UseSockets(sockets => sockets.CreateBoundListenSocket = end =>
                NamespaceThread.Run(place, () => SocketTransportOptions.CreateDefaultBoundListenSocket(end)));
        }

        if (_options.Certificate is not null)
        {
            builder.WebHost.UseKestrelHttpsConfiguration();
        }

        _application = builder.Build();
        _application.Run(AnswerAsync);
        await _application.StartAsync();
        _port = new Uri(_application.Urls.First()).Port;
    }

    /// <summary>Ends all connections, and refuses new ones.</summary>
    public async Task StopAsync()
    {
        if (_application is WebApplication application)
        {
            _application = null;
            using var now = new CancellationTokenSource();
            await now.CancelAsync();
            await application.StopAsync(now.Token);
            await application.DisposeAsync();
        }
    }

    public ValueTask DisposeAsync() => new(StopAsync());

    private void Configure(KestrelServerOptions kestrel) => kestrel.Listen(IPAddress.Loopback, _port, listen =>
    {
        if (_options.Certificate is not null)
        {
            listen.UseHttps(_options.Certificate, https =>
            {
                https.ClientCertificateMode = _options.ClientThumbprint is null
                    ? ClientCertificateMode.NoCertificate
                    : ClientCertificateMode.RequireCertificate;
                https.ClientCertificateValidation = (certificate, _, _) => certificate.Thumbprint == _options.ClientThumbprint;
            });
        }
    });

    private async Task AnswerAsync(HttpContext context)
    {
        string path = context.Request.Path.Value!.TrimStart('/');
        lock (Requests)
        {
            Requests.Add(path + context.Request.QueryString.Value);
        }

        try
        {
            if (_options.Token?.Invoke() is string token && context.Request.Headers.Authorization != $"Bearer {token}")
            {
                throw new ApiStatusException(401, "Unauthorized", "Unauthorized");
            }

            if (context.Request.Query["watch"] == "true")
            {
                await WatchAsync(context, path);
            }
            else
            {
                await ListAsync(context, path);
            }
        }
        catch (ApiStatusException error)
        {
            context.Response.StatusCode = error.Code;
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(error.ToJson().ToJsonString());
        }
        catch (OperationCanceledException)
        {
            context.Abort();
        }
    }

    private async Task ListAsync(HttpContext context, string path)
    {
        IQueryCollection query = context.Request.Query;
        int limit = int.TryParse(query["limit"], out int asked) ? asked : int.MaxValue;
        JsonObject list = _store.List(path, Selector(query), Math.Min(limit, _options.PageLimit), query["continue"]);
        byte[] body = Encoding.UTF8.GetBytes(list.ToJsonString());
        context.Response.ContentType = "application/json";
        if (context.Request.Headers.AcceptEncoding.ToString().Contains("gzip", StringComparison.Ordinal))
        {
            context.Response.Headers.ContentEncoding = "gzip";
            using var packed = new MemoryStream();
            using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
            {
                gzip.Write(body);
            }

            body = packed.ToArray();
        }

        await context.Response.Body.WriteAsync(body);
    }

    private async Task WatchAsync(HttpContext context, string path)
    {
        IQueryCollection query = context.Request.Query;
        bool isStreaming = query["sendInitialEvents"] == "true";
        if (isStreaming && !_options.HasStreamingLists)
        {
            throw new ApiStatusException(
                422, "Invalid", "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled");
        }

        using ApiWatch watch = _store.Watch(path, Selector(query), isStreaming ? null : long.Parse(query["resourceVersion"]!, null));
        context.Response.ContentType = "application/json";
        await context.Response.StartAsync();
        await context.Response.Body.FlushAsync(context.RequestAborted);
        if (_options.EndsWatches)
        {
            return;
        }

        await foreach (JsonObject item in watch.Events.ReadAllAsync(context.RequestAborted))
        {
            await context.Response.WriteAsync(item.ToJsonString() + "\n", context.RequestAborted);
            await context.Response.Body.FlushAsync(context.RequestAborted);
        }
    }

    private static ApiSelector Selector(IQueryCollection query) => new(query["labelSelector"], query["fieldSelector"]);
}

/// <summary>How an <see cref="ApiServer"/> is set up.</summary>
internal sealed record ApiServerOptions
{
    public X509Certificate2? Certificate { get; init; }

    public string? ClientThumbprint { get; init; }

    public Func<string>? Token { get; init; }

    public int PageLimit { get; init; } = int.MaxValue;

    public bool HasStreamingLists { get; init; } = true;

    /// <summary>Ends each watch as soon as it has begun, without an error.</summary>
    public bool EndsWatches { get; init; }

    /// <summary>Where it listens, on the loopback interface; null: where the tests run.</summary>
    public NetworkNamespace? Place { get; init; }
}

/// <summary>An answer that is an error.</summary>
internal sealed class ApiStatusException(int code, string reason, string message) : Exception(message)
{
    public int Code => code;

    public JsonObject ToJson() => new()
    {
        ["kind"] = "Status",
        ["apiVersion"] = "v1",
        ["metadata"] = new JsonObject(),
        ["status"] = "Failure",
        ["message"] = Message,
        ["reason"] = reason,
        ["code"] = code,
    };
}
