// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Net.Http;
using System.Security.Authentication;
using System.Text;
using System.Text.Json;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.LoadBalancer.Cluster;

namespace Pronghorn.LoadBalancer.Sources.KubernetesApi;

/// <summary>
/// Follows one kind of object: a list (streaming where the server can, else in pages), then a watch from its version,
/// resumed from the last version seen. Only when the server no longer keeps that version (410) it lists again.
/// </summary>
internal sealed class ResourceWatcher<T>
    where T : class
{
    private const int PageLimit = 500;
    private const string InitialEventsEnd = "k8s.io/initial-events-end";

    // A watch that lasts so long works: what fails after it is a new failure.
    private static readonly TimeSpan s_steady = TimeSpan.FromSeconds(10);

    private readonly ApiClient _client;
    private readonly ApiResource<T> _resource;
    private readonly ChannelWriter<ClusterChange> _changes;
    private readonly IProblemSink _reports;
    private readonly RetryDelay _delay;
    private readonly TimeProvider _clock;
    private readonly TimeSpan _watchTime;
    private readonly TimeSpan _answerTime;
    private string? _resourceVersion;
    private bool _triesStreamingList = true;
    private bool _isLost;
    private bool _wasGone;

    /// <summary>Makes one; <see cref="RunAsync"/> does the work.</summary>
    public ResourceWatcher(
        ApiClient client,
        ApiResource<T> resource,
        ChannelWriter<ClusterChange> changes,
        IProblemSink reports,
        KubernetesApiSettings settings)
    {
        _client = client;
        _resource = resource;
        _changes = changes;
        _reports = reports;
        _delay = new RetryDelay(settings.Retry, Random.Shared);
        _clock = settings.Clock;
        _watchTime = settings.WatchTime;
        _answerTime = settings.AnswerTime;
    }

    /// <summary>Works until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested)
        {
            TimeSpan? pause = null;
            long began = _clock.GetTimestamp();
            try
            {
                await FollowAsync(cancellation);

                // A server or a proxy before it that ends each watch at once must not be asked again at once.
                pause = HasLasted(began) ? null : _delay.Next();
            }
            catch (ApiException exception) when (exception.IsGone)
            {
                // What happened since is no longer kept: the next list says what is left.
                _resourceVersion = null;
                pause = _wasGone && !HasLasted(began) ? _delay.Next() : null;
                _wasGone = true;
            }
            catch (ApiException exception)
            {
                pause = exception.RetryAfter ?? _delay.Next();
                ReportLost(Advice(exception));
            }
            catch (Exception exception) when (IsTransient(exception))
            {
                // An end that was asked for shows itself in many ways; none of them is a problem.
                cancellation.ThrowIfCancellationRequested();
                pause = _delay.Next();

                // HttpClient's own text only says that something failed; what failed is inside.
                string reason = exception is HttpRequestException { InnerException: Exception inner } ? inner.Message : exception.Message;
                ReportLost(reason);
            }

            if (HasLasted(began))
            {
                _delay.Reset();
                _wasGone = false;
            }

            if (pause is TimeSpan wait)
            {
                await Task.Delay(wait, _clock, cancellation);
            }
        }
    }

    private bool HasLasted(long began) => _clock.GetElapsedTime(began) >= s_steady;

    private static bool IsTransient(Exception exception) =>
        exception is HttpRequestException or IOException or JsonException or ApiAccessException or AuthenticationException
            or OperationCanceledException or System.Security.Cryptography.CryptographicException;

    private static string Advice(ApiException exception) => exception.Code switch
    {
        401 => $"{exception.Message}; the token or certificate is not accepted: renew it",
        403 => $"{exception.Message}; grant list and watch to this identity (packaging/kubernetes has the ClusterRole)",
        _ => exception.Message,
    };

    private async Task FollowAsync(CancellationToken cancellation)
    {
        if (_resourceVersion is null && _triesStreamingList)
        {
            try
            {
                await WatchAsync(isStreamingList: true, cancellation);
                return;
            }
            catch (ApiException exception) when (exception.RefusesStreamingList)
            {
                _triesStreamingList = false;
            }
        }

        if (_resourceVersion is null)
        {
            await ListAsync(cancellation);
        }

        await WatchAsync(isStreamingList: false, cancellation);
    }

    /// <summary>Reads all pages. Each has the version of the first, from which the watch goes on.</summary>
    private async Task ListAsync(CancellationToken cancellation)
    {
        List<T> items = [];
        string? next = null;
        string? version;
        do
        {
            string query = next is null ? $"limit={PageLimit}" : $"limit={PageLimit}&continue={Uri.EscapeDataString(next)}";
            using HttpResponseMessage response = await _client.GetAsync(PathWith(query), cancellation);
            using Stream body = await response.Content.ReadAsStreamAsync(cancellation);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            limit.CancelAfter(_answerTime);
            ApiList list = await JsonSerializer.DeserializeAsync(body, ApiJson.Default.ApiList, limit.Token)
                ?? throw new JsonException("null instead of a list");
            foreach (JsonElement item in list.Items ?? [])
            {
                if (TryRead(item, out T? read))
                {
                    items.Add(read!);
                }
            }

            version = list.Metadata?.ResourceVersion;
            next = list.Metadata?.Continue;
        }
        while (!string.IsNullOrEmpty(next));

        _resourceVersion = version ?? throw new JsonException("a list without metadata.resourceVersion");
        await TellAllAsync(items, cancellation);
    }

    private async Task WatchAsync(bool isStreamingList, CancellationToken cancellation)
    {
        // Spread, so that a restarted server is not asked by all nodes in the same second again and again.
        double seconds = _watchTime.TotalSeconds * (1 + Random.Shared.NextDouble());
        var query = new StringBuilder("watch=true&allowWatchBookmarks=true");
        query.Append(CultureInfo.InvariantCulture, $"&timeoutSeconds={(int)Math.Max(1, seconds)}");
        query.Append(isStreamingList
            ? "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
            : $"&resourceVersion={Uri.EscapeDataString(_resourceVersion!)}");
        using HttpResponseMessage response = await _client.GetAsync(PathWith(query.ToString()), cancellation);
        using Stream body = await response.Content.ReadAsStreamAsync(cancellation);
        Dictionary<ObjectName, T>? initial = isStreamingList ? [] : null;
        if (!isStreamingList)
        {
            ReportBack();
        }

        TimeSpan silence = TimeSpan.FromSeconds(seconds + 30);
        await foreach (ApiWatchEvent item in WatchLines.ReadAsync(body, silence, cancellation))
        {
            initial = await TakeAsync(item, initial, cancellation);
        }

        if (initial is not null)
        {
            throw new IOException("the list ended before it was complete");
        }
    }

    /// <summary>Takes an event; returns the initial list while it is still being told, else null.</summary>
    private async Task<Dictionary<ObjectName, T>?> TakeAsync(
        ApiWatchEvent item, Dictionary<ObjectName, T>? initial, CancellationToken cancellation)
    {
        if (item.Type == "ERROR")
        {
            throw ApiClient.ToException(item.Object.Deserialize(ApiJson.Default.ApiStatus), 500);
        }

        ApiObjectMetadata? metadata = item.Object.Deserialize(ApiJson.Default.ApiObject)?.Metadata;
        bool isEnd = item.Type == "BOOKMARK" && metadata?.Annotations?.GetValueOrDefault(InitialEventsEnd) == "true";
        if (isEnd && initial is not null)
        {
            await TellAllAsync(initial.Values, cancellation);
            initial = null;
        }
        else if (item.Type is "ADDED" or "MODIFIED" or "DELETED")
        {
            var name = new ObjectName(metadata?.Namespace ?? "", metadata?.Name ?? "");
            if (item.Type == "DELETED")
            {
                await RemoveAsync(name, initial, cancellation);
            }
            else if (TryRead(item.Object, out T? read))
            {
                await ApplyAsync(name, read!, initial, cancellation);
            }
        }

        // Until the initial list is complete its versions are those of old objects: not a place to resume from.
        if (initial is null && metadata?.ResourceVersion is { Length: > 0 } version)
        {
            _resourceVersion = version;
        }

        return initial;
    }

    private async Task ApplyAsync(ObjectName name, T item, Dictionary<ObjectName, T>? initial, CancellationToken cancellation)
    {
        if (initial is not null)
        {
            initial[name] = item;
        }
        else
        {
            await _changes.WriteAsync(_resource.Applied(item), cancellation);
        }
    }

    private async Task RemoveAsync(ObjectName name, Dictionary<ObjectName, T>? initial, CancellationToken cancellation)
    {
        if (initial is not null)
        {
            initial.Remove(name);
        }
        else if (_resource.Removed is not null)
        {
            await _changes.WriteAsync(_resource.Removed(name), cancellation);
        }
    }

    private async Task TellAllAsync(IReadOnlyCollection<T> items, CancellationToken cancellation)
    {
        if (_resource.Listed is not null)
        {
            await _changes.WriteAsync(_resource.Listed([.. items]), cancellation);
        }
        else
        {
            foreach (T item in items)
            {
                await _changes.WriteAsync(_resource.Applied(item), cancellation);
            }
        }

        ReportBack();
    }

    private bool TryRead(JsonElement element, out T? item)
    {
        try
        {
            item = _resource.Read(Encoding.UTF8.GetBytes(element.GetRawText()));
            return true;
        }
        catch (JsonException exception)
        {
            ApiObjectMetadata? metadata = element.Deserialize(ApiJson.Default.ApiObject)?.Metadata;
            _reports.Report(new Problem(
                $"{typeof(T).Name} {metadata?.Namespace}/{metadata?.Name}",
                exception.Path is { Length: > 2 } path ? path[2..] : "",
                "not a value that is known here; the object is as it was before"));
            item = null;
            return false;
        }
    }

    private string PathWith(string query) =>
        _resource.Selector.Length == 0 ? $"{_resource.Path}?{query}" : $"{_resource.Path}?{_resource.Selector}&{query}";

    private void ReportLost(string reason)
    {
        _isLost = true;
        string subject = $"API server, {_resource.Path}";
        _reports.Replace(subject, [new Problem(subject, "", $"{reason}. What is known stays in force; it is tried again until it works")]);
    }

    private void ReportBack()
    {
        if (_isLost)
        {
            _isLost = false;
            string subject = $"API server, {_resource.Path}";
            _reports.Replace(subject, []);
            _reports.Report(new Problem(subject, "", "is back"));
        }
    }
}
