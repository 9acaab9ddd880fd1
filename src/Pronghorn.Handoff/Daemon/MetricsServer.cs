// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Pronghorn.Web;

namespace Pronghorn.Handoff.Daemon;

/// <summary>Answers GET /metrics over HTTP, for one Prometheus or a few: whoever else asks for much gets nothing.</summary>
internal static class MetricsServer
{
    private const int MostConnections = 16;
    private const int LongestRequestLine = 1024;
    private const int LongestHeaders = 8192;

    private static readonly TimeSpan s_request = TimeSpan.FromSeconds(5);

    /// <summary>Begins to answer.</summary>
    /// <param name="end">Where.</param>
    /// <param name="write">Makes the page.</param>
    /// <exception cref="IOException">It cannot listen there.</exception>
    internal static async Task<WebListener> StartAsync(IPEndPoint end, Func<string> write)
    {
        try
        {
            // What a client does wrong is the client's concern.
            return await WebListener.StartAsync(options => Limit(options, end), context => AnswerAsync(context, write), static _ => { });
        }
        catch (Exception failure) when (failure is IOException or SocketException)
        {
            throw new IOException($"metrics: {end}: {failure.Message}", failure);
        }
    }

    private static void Limit(KestrelServerOptions options, IPEndPoint end)
    {
        options.Limits.MaxConcurrentConnections = MostConnections;
        options.Limits.MaxRequestLineSize = LongestRequestLine;
        options.Limits.MaxRequestHeadersTotalSize = LongestHeaders;
        options.Limits.MaxRequestBodySize = 0;
        options.Limits.RequestHeadersTimeout = s_request;
        options.Limits.KeepAliveTimeout = s_request;
        options.Listen(end, static listen => listen.Protocols = HttpProtocols.Http1);
    }

    private static Task AnswerAsync(HttpContext context, Func<string> write)
    {
        HttpResponse response = context.Response;
        if (context.Request.Path != "/metrics")
        {
            response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        }

        if (!HttpMethods.IsGet(context.Request.Method))
        {
            response.StatusCode = StatusCodes.Status405MethodNotAllowed;
            response.Headers.Allow = HttpMethods.Get;
            return Task.CompletedTask;
        }

        response.ContentType = MetricsText.ContentType;
        return response.WriteAsync(write());
    }
}
