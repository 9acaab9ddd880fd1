// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Net;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;

namespace Pronghorn.LoadBalancer.Sources.KubernetesApi;

/// <summary>Requests to an API server: authentication, compression, errors as <see cref="ApiException"/>.</summary>
internal sealed class ApiClient : IDisposable
{
    private readonly ApiCredentials _credentials;
    private readonly HttpClient _http;
    private readonly TimeSpan _answerTime;

    /// <summary>Makes a client.</summary>
    /// <param name="access">Which server, and who we are.</param>
    /// <param name="answerTime">How long the server may take to begin an answer.</param>
    public ApiClient(ApiServerAccess access, TimeSpan answerTime)
    {
        _answerTime = answerTime;
        _credentials = new ApiCredentials(access);
        var handler = new SocketsHttpHandler
        {
            AutomaticDecompression = DecompressionMethods.GZip,
            ConnectTimeout = TimeSpan.FromSeconds(10),
            SslOptions = _credentials.CreateTlsOptions(),
            UseProxy = false,

            // A server that vanished without a word (power, partition) is noticed by its missing answers to pings.
            KeepAlivePingDelay = TimeSpan.FromSeconds(10),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(10),
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
        };
        _http = new HttpClient(handler, disposeHandler: true)
        {
            BaseAddress = access.Server,
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
            Timeout = Timeout.InfiniteTimeSpan,
        };
        _http.DefaultRequestHeaders.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        _http.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("pronghorn", "1"));
    }

    /// <summary>Begins a GET.</summary>
    /// <param name="path">Path and query, relative to the server.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <returns>The answer; its body is still to be read.</returns>
    /// <exception cref="ApiException">The server refused.</exception>
    public async Task<HttpResponseMessage> GetAsync(string path, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (_credentials.ReadToken() is { Length: > 0 } token)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }

        HttpResponseMessage response = await SendAsync(request, cancellation);
        if (!response.IsSuccessStatusCode)
        {
            using (response)
            {
                throw await ReadErrorAsync(response, cancellation);
            }
        }

        return response;
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    /// <summary>The exception for a Status object.</summary>
    public static ApiException ToException(ApiStatus? status, int code)
    {
        int seconds = status?.Details?.RetryAfterSeconds ?? 0;
        return new ApiException(
            status is { Code: > 0 } ? status.Code : code,
            status?.Reason ?? "",
            status?.Message ?? $"HTTP status {code}",
            seconds > 0 ? TimeSpan.FromSeconds(seconds) : null);
    }

    /// <summary>
    /// A server that stops can accept a connection and never answer on it; over HTTP/1.1 nothing else would notice.
    /// </summary>
    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(_answerTime);
        try
        {
            return await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
        }
        catch (OperationCanceledException exception) when (!cancellation.IsCancellationRequested)
        {
            throw new IOException($"no answer within {_answerTime.TotalSeconds:0.###} s", exception);
        }
    }

    private static async Task<ApiException> ReadErrorAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        ApiStatus? status = null;
        try
        {
            using Stream body = await response.Content.ReadAsStreamAsync(cancellation);
            status = await JsonSerializer.DeserializeAsync(body, ApiJson.Default.ApiStatus, cancellation);
        }
        catch (JsonException)
        {
            // A proxy in between speaks HTML; the status code has to do.
        }

        ApiException error = ToException(status, (int)response.StatusCode);
        return error.RetryAfter is null && response.Headers.RetryAfter?.Delta is TimeSpan delay
            ? new ApiException(error.Code, error.Reason, error.Message, delay)
            : error;
    }
}
