// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Explain;
using Pronghorn.Web;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>
/// HTTP over a unix socket, for the command line. Whoever connects must be root: the socket's
/// mode says so, and the kernel is asked again for each connection (SO_PEERCRED, unix(7)).
/// </summary>
internal sealed class ControlServer : IAsyncDisposable
{
    private const int SocketLevel = 1;
    private const int PeerCredentials = 17;

    private readonly string _path;
    private readonly WebListener _listener;

    private ControlServer(string path, WebListener listener)
    {
        _path = path;
        _listener = listener;
    }

    /// <summary>Starts to answer.</summary>
    /// <param name="path">Path of the socket; one that is left over is replaced.</param>
    /// <param name="daemon">What is asked.</param>
    /// <param name="problems">Is told what the server complains of.</param>
    public static async Task<ControlServer> StartAsync(string path, IControlled daemon, IProblemSink problems)
    {
        File.Delete(path);
        WebListener listener = await WebListener.StartAsync(
            options => options.ListenUnixSocket(path, Admit), context => AnswerAsync(context, daemon), problems.ReportWeb);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return new ControlServer(path, listener);
    }

    public async ValueTask DisposeAsync()
    {
        await _listener.DisposeAsync();
        File.Delete(_path);
    }

    private static void Admit(ListenOptions options) => options.Use(next => context =>
    {
        if (context.Features.Get<IConnectionSocketFeature>()?.Socket is { } socket && IsAdmitted(socket))
        {
            return next(context);
        }

        context.Abort(new ConnectionAbortedException("Only root may control the daemon."));
        return Task.CompletedTask;
    });

    private static bool IsAdmitted(Socket socket)
    {
        // struct ucred: process, user, group.
        Span<int> credentials = stackalloc int[3];
        int length = socket.GetRawSocketOption(SocketLevel, PeerCredentials, MemoryMarshal.AsBytes(credentials));
        return length == 3 * sizeof(int) && credentials[1] == 0;
    }

    private static Task AnswerAsync(HttpContext context, IControlled daemon)
    {
        HttpResponse response = context.Response;
        switch ((context.Request.Method, context.Request.Path.Value))
        {
            case ("GET", "/status"):
                return response.WriteAsJsonAsync(daemon.ReadStatus(), ControlJson.Default.DaemonStatus);
            case ("GET", "/list"):
                return response.WriteAsJsonAsync(daemon.ReadList(), ControlJson.Default.ListedPortArray);
            case ("GET", "/explain"):
                return ExplainAsync(context, daemon);
            case ("POST", "/stop"):
                daemon.RequestStop();
                return Task.CompletedTask;
            default:
                response.StatusCode = StatusCodes.Status404NotFound;
                return response.WriteAsJsonAsync(
                    new ControlError("There is /status, /list, /explain?flow= and, by POST, /stop."), ControlJson.Default.ControlError);
        }
    }

    private static Task ExplainAsync(HttpContext context, IControlled daemon)
    {
        if (Flow.TryParse(context.Request.Query["flow"].ToString(), out Flow? flow, out string? mistake))
        {
            return context.Response.WriteAsJsonAsync(daemon.Explain(flow), ControlJson.Default.FlowExplanation);
        }

        context.Response.StatusCode = StatusCodes.Status400BadRequest;
        return context.Response.WriteAsJsonAsync(new ControlError(mistake), ControlJson.Default.ControlError);
    }
}

/// <summary>What the control socket asks.</summary>
internal interface IControlled
{
    DaemonStatus ReadStatus();

    ListedPort[] ReadList();

    FlowExplanation Explain(Flow flow);

    void RequestStop();
}
