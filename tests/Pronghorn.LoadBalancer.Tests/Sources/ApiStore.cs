// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text.Json.Nodes;
using System.Threading;
using System.Threading.Channels;

namespace Pronghorn.LoadBalancer.Tests.Sources;

/// <summary>The objects behind an <see cref="ApiServer"/>, with their history; outlives a restart of the server.</summary>
internal sealed class ApiStore
{
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, Entry> _objects = new(StringComparer.Ordinal);
    private readonly List<Change> _history = [];
    private readonly List<ApiWatch> _watches = [];
    private long _version = 100;
    private long _compacted = 100;

    /// <summary>Creates or changes an object.</summary>
    /// <param name="path">Path of its list: "api/v1/services".</param>
    /// <param name="json">The object.</param>
    public void Apply(string path, string json)
    {
        var body = (JsonObject)JsonNode.Parse(json)!;
        lock (_lock)
        {
            string key = KeyOf(path, body);
            body["metadata"]!["resourceVersion"] = (++_version).ToString(CultureInfo.InvariantCulture);
            _objects.TryGetValue(key, out Entry? before);
            _objects[key] = new Entry(path, body);
            Append(new Change(path, _version, before?.Body, body));
        }
    }

    /// <summary>Deletes an object.</summary>
    public void Delete(string path, string @namespace, string name)
    {
        lock (_lock)
        {
            _objects.Remove($"{path}/{@namespace}/{name}", out Entry? entry);
            entry!.Body["metadata"]!["resourceVersion"] = (++_version).ToString(CultureInfo.InvariantCulture);
            Append(new Change(path, _version, entry.Body, null));
        }
    }

    /// <summary>Forgets the history: watches from before get 410 Gone.</summary>
    public void Compact()
    {
        lock (_lock)
        {
            _compacted = _version;
            _history.Clear();
        }
    }

    /// <summary>Sends each watch a bookmark with the version of now.</summary>
    public void Bookmark()
    {
        lock (_lock)
        {
            foreach (ApiWatch watch in _watches)
            {
                watch.Send(BookmarkAt(_version, isEnd: false));
            }
        }
    }

    /// <summary>Ends the watches with an error event.</summary>
    public void Fail(ApiStatusException error)
    {
        lock (_lock)
        {
            foreach (ApiWatch watch in _watches)
            {
                watch.Send(new JsonObject { ["type"] = "ERROR", ["object"] = error.ToJson() });
            }
        }
    }

    public JsonObject List(string path, ApiSelector selector, int limit, string? next)
    {
        lock (_lock)
        {
            string[] token = (next ?? $"{_version}|").Split('|', 2);
            if (next is not null && long.Parse(token[0], CultureInfo.InvariantCulture) < _compacted)
            {
                throw new ApiStatusException(410, "Expired", "The provided continue parameter is too old");
            }

            KeyValuePair<string, Entry>[] rest =
            [
                .. _objects.Where(item => item.Value.Path == path && selector.Matches(item.Value.Body)
                    && string.CompareOrdinal(item.Key, token[1]) > 0),
            ];
            KeyValuePair<string, Entry>[] page = rest.Take(limit).ToArray();
            var metadata = new JsonObject { ["resourceVersion"] = token[0] };
            if (page.Length < rest.Length)
            {
                metadata["continue"] = $"{token[0]}|{page[^1].Key}";
                metadata["remainingItemCount"] = rest.Length - page.Length;
            }

            return new JsonObject
            {
                ["kind"] = "List",
                ["apiVersion"] = "v1",
                ["metadata"] = metadata,
                ["items"] = new JsonArray([.. page.Select(static item => WithoutKind(item.Value.Body))]),
            };
        }
    }

    /// <summary>Opens a watch from a version; null: from an initial list that is told first.</summary>
    public ApiWatch Watch(string path, ApiSelector selector, long? from)
    {
        lock (_lock)
        {
            if (from > _version)
            {
                throw new ApiStatusException(504, "Timeout", $"Too large resource version: {from}, current: {_version}");
            }

            var watch = new ApiWatch(path, selector, Remove);
            if (from < _compacted)
            {
                watch.Send(new JsonObject
                {
                    ["type"] = "ERROR",
                    ["object"] = new ApiStatusException(410, "Expired", $"too old resource version: {from} ({_compacted})").ToJson(),
                });
            }

            if (from is null)
            {
                foreach (Entry entry in _objects.Values.Where(entry => entry.Path == path && selector.Matches(entry.Body)))
                {
                    watch.Send(new JsonObject { ["type"] = "ADDED", ["object"] = entry.Body.DeepClone() });
                }

                watch.Send(BookmarkAt(_version, isEnd: true));
            }

            foreach (Change change in _history.Where(change => from is not null && change.Version > from))
            {
                watch.Send(change);
            }

            _watches.Add(watch);
            return watch;
        }
    }

    private static string KeyOf(string path, JsonObject body) =>
        $"{path}/{body["metadata"]!["namespace"]?.GetValue<string>()}/{body["metadata"]!["name"]!.GetValue<string>()}";

    /// <summary>Items of a list carry no kind and no version; only the list does.</summary>
    private static JsonObject WithoutKind(JsonObject body)
    {
        var copy = (JsonObject)body.DeepClone();
        copy.Remove("kind");
        copy.Remove("apiVersion");
        return copy;
    }

    private static JsonObject BookmarkAt(long version, bool isEnd)
    {
        var metadata = new JsonObject
        {
            ["resourceVersion"] = version.ToString(CultureInfo.InvariantCulture),
            ["creationTimestamp"] = null,
        };
        if (isEnd)
        {
            metadata["annotations"] = new JsonObject { ["k8s.io/initial-events-end"] = "true" };
        }

        var body = new JsonObject { ["metadata"] = metadata, ["spec"] = new JsonObject() };
        return new JsonObject { ["type"] = "BOOKMARK", ["object"] = body };
    }

    private void Append(Change change)
    {
        _history.Add(change);
        foreach (ApiWatch watch in _watches)
        {
            watch.Send(change);
        }
    }

    private void Remove(ApiWatch watch)
    {
        lock (_lock)
        {
            _watches.Remove(watch);
        }
    }

    private sealed record Entry(string Path, JsonObject Body);

    /// <summary>What happened to an object.</summary>
    internal sealed record Change(string Path, long Version, JsonObject? Before, JsonObject? After);
}

/// <summary>One watch.</summary>
internal sealed class ApiWatch(string path, ApiSelector selector, Action<ApiWatch> ended) : IDisposable
{
    private readonly Channel<JsonObject> _events = Channel.CreateUnbounded<JsonObject>();

    public ChannelReader<JsonObject> Events => _events.Reader;

    public void Send(JsonObject item) => _events.Writer.TryWrite(item);

    /// <summary>As the watch sees it: an object that leaves the selector is deleted for it, one that enters is added.</summary>
    public void Send(ApiStore.Change change)
    {
        bool was = change.Before is not null && selector.Matches(change.Before);
        bool isNow = change.After is not null && selector.Matches(change.After);
        if (change.Path != path || (!was && !isNow))
        {
            return;
        }

        JsonObject body = change.After ?? change.Before!;
        Send(new JsonObject { ["type"] = isNow ? was ? "MODIFIED" : "ADDED" : "DELETED", ["object"] = body.DeepClone() });
    }

    public void Dispose() => ended(this);
}

/// <summary>A label selector of the forms "!key" and "key=value", and the field metadata.name.</summary>
internal sealed class ApiSelector(string? labels, string? fields)
{
    public bool Matches(JsonObject body)
    {
        JsonNode? metadata = body["metadata"];
        foreach (string term in (labels ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] parts = term.TrimStart('!').Split('=', 2);
            string? value = metadata?["labels"]?[parts[0]]?.GetValue<string>();
            if (term[0] == '!' ? value is not null : value != parts[1])
            {
                return false;
            }
        }

        return string.IsNullOrEmpty(fields) || $"metadata.name={metadata?["name"]?.GetValue<string>()}" == fields;
    }
}
