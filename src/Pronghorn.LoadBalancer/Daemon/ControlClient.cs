// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Net.Http;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>Asks a daemon over its control socket.</summary>
public sealed class ControlClient : IDisposable
{
    private readonly HttpClient _client;
    private readonly string _path;

    /// <summary>Names the daemon; connects with the first question.</summary>
    public ControlClient(RuntimePaths paths)
    {
        ArgumentNullException.ThrowIfNull(paths);
        _path = paths.ControlSocket;
        var handler = new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellation) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                try
                {
                    await socket.ConnectAsync(new UnixDomainSocketEndPoint(paths.ControlSocket), cancellation);
                    return new NetworkStream(socket, ownsSocket: true);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            },
        };
        _client = new HttpClient(handler) { BaseAddress = new Uri("http://daemon"), Timeout = TimeSpan.FromSeconds(30) };
    }

    /// <summary>Asks for a document, such as "status" or "list".</summary>
    /// <returns>Its JSON; null when no daemon runs.</returns>
    /// <exception cref="IOException">The daemon refuses.</exception>
    public async Task<string?> GetAsync(string document, CancellationToken cancellation = default)
    {
        try
        {
            using HttpResponseMessage response = await _client.GetAsync(new Uri(document, UriKind.Relative), cancellation);
            string text = await response.Content.ReadAsStringAsync(cancellation);
            return response.IsSuccessStatusCode ? text : throw new IOException(text);
        }
        catch (HttpRequestException failure) when (IsAbsent(failure))
        {
            return null;
        }
        catch (HttpRequestException failure)
        {
            string reason = failure.InnerException is SocketException { SocketErrorCode: SocketError.AccessDenied }
                ? "only root may ask the daemon" : failure.Message;
            throw new IOException($"{_path}: {reason}", failure);
        }
    }

    /// <summary>Tells the daemon to end; what it has attached stays.</summary>
    /// <returns>Whether one runs.</returns>
    public async Task<bool> StopAsync(CancellationToken cancellation = default)
    {
        try
        {
            using HttpResponseMessage response = await _client.PostAsync(new Uri("stop", UriKind.Relative), null, cancellation);
            return response.IsSuccessStatusCode;
        }
        catch (HttpRequestException failure) when (IsAbsent(failure))
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _client.Dispose();

    private static bool IsAbsent(HttpRequestException failure) => failure.InnerException is SocketException
    {
        SocketErrorCode: SocketError.ConnectionRefused or SocketError.AddressNotAvailable or SocketError.HostNotFound,
    }
    or SocketException { NativeErrorCode: 2 };
}
