// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Text.Json;
using Pronghorn.LoadBalancer.Cluster;

namespace Pronghorn.LoadBalancer.Sources.Manifests;

/// <summary>What one manifest file says.</summary>
public sealed class ManifestFile
{
    private readonly string _name;
    private readonly IProblemSink _problems;

    private ManifestFile(string name, IProblemSink problems)
    {
        _name = name;
        _problems = problems;
    }

    /// <summary>Services by name.</summary>
    public Dictionary<ObjectName, Service> Services { get; } = [];

    /// <summary>Endpoint slices by name.</summary>
    public Dictionary<ObjectName, EndpointSlice> Slices { get; } = [];

    /// <summary>Nodes by name.</summary>
    public Dictionary<ObjectName, Node> Nodes { get; } = [];

    /// <summary>Reads a file's text. Objects of other kinds are passed over: a directory may hold whole applications.</summary>
    /// <param name="name">The file's name, for problems.</param>
    /// <param name="text">Its text.</param>
    /// <param name="previous">What it said before; an object that is wrong now keeps what it said then. Null at first.</param>
    /// <param name="problems">Takes what is wrong.</param>
    /// <returns>Null if the file cannot be read as a whole; then what it said before stays true.</returns>
    public static ManifestFile? Parse(string name, string text, ManifestFile? previous, IProblemSink problems)
    {
        ArgumentNullException.ThrowIfNull(problems);
        var file = new ManifestFile(name, problems);
        try
        {
            foreach (ManifestDocument document in YamlDocuments.Read(text))
            {
                file.Take(document, previous);
            }
        }
        catch (ManifestException exception)
        {
            problems.Report(new Problem(
                $"{name}:{exception.Line}", "", $"{exception.Message}. What the file said before stays in force; mend the file"));
            return null;
        }

        return file;
    }

    private void Take(ManifestDocument document, ManifestFile? previous)
    {
        Header? header = ReadHeader(document);
        switch (header?.ApiVersion, header?.Kind)
        {
            case ("v1", "Service"):
                Take(document, header!.Name, Services, previous?.Services, KubernetesJson.ReadService, static item => item.Metadata,
                    static (item, metadata) => item with { Metadata = metadata });
                break;
            case ("discovery.k8s.io/v1", "EndpointSlice"):
                Take(document, header!.Name, Slices, previous?.Slices, KubernetesJson.ReadEndpointSlice, static item => item.Metadata,
                    static (item, metadata) => item with { Metadata = metadata });
                break;
            case ("v1", "Node"):
                Take(document, header!.Name with { Namespace = "" }, Nodes, previous?.Nodes, KubernetesJson.ReadNode,
                    static item => item.Metadata, static (item, metadata) => item with { Metadata = metadata });
                break;
            case (_, "Service" or "EndpointSlice" or "Node"):
                Report(document, "$.apiVersion", $"{header!.Kind} of version \"{header.ApiVersion}\" is not known; write "
                    + (header.Kind == "EndpointSlice" ? "discovery.k8s.io/v1" : "v1"));
                break;
            default:
                break;
        }
    }

    private void Take<T>(
        ManifestDocument document,
        ObjectName name,
        Dictionary<ObjectName, T> objects,
        Dictionary<ObjectName, T>? previous,
        Func<ReadOnlyMemory<byte>, T> read,
        Func<T, Metadata> metadata,
        Func<T, Metadata, T> rename)
        where T : class
    {
        if (name.Name.Length == 0)
        {
            Report(document, "$.metadata.name", "the object has no name; give it one");
            return;
        }

        if (objects.ContainsKey(name))
        {
            Report(document, "$.metadata.name", $"{typeof(T).Name} {name} is in this file twice; the first one counts");
            return;
        }

        try
        {
            T item = read(document.Json);
            objects.Add(name, rename(item, metadata(item) with { Namespace = name.Namespace }));
        }
        catch (JsonException exception)
        {
            string kept = previous is not null && previous.TryGetValue(name, out T? before) && objects.TryAdd(name, before)
                ? "what it said before stays in force"
                : "the object is left out";
            string path = exception.Path ?? "$";
            Report(document, path, $"{typeof(T).Name} {name}: not a value that the API knows here; {kept}");
        }
    }

    private Header? ReadHeader(ManifestDocument document)
    {
        using JsonDocument json = JsonDocument.Parse(document.Json);
        JsonElement root = json.RootElement;
        if (root.ValueKind != JsonValueKind.Object)
        {
            Report(document, "$", "not an object; a manifest has apiVersion, kind, metadata and so on");
            return null;
        }

        string kind = Text(root, "kind");
        if (kind.Length == 0)
        {
            Report(document, "$", "no kind; write one, such as \"kind: Service\"");
            return null;
        }

        bool hasMetadata = root.TryGetProperty("metadata", out JsonElement metadata) && metadata.ValueKind == JsonValueKind.Object;
        string name = hasMetadata ? Text(metadata, "name") : "";
        string @namespace = hasMetadata ? Text(metadata, "namespace") : "";
        return new Header(Text(root, "apiVersion"), kind, new ObjectName(@namespace.Length == 0 ? "default" : @namespace, name));
    }

    private static string Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out JsonElement child) && child.ValueKind == JsonValueKind.String ? child.GetString()! : "";

    private void Report(ManifestDocument document, string path, string message) =>
        _problems.Report(new Problem($"{_name}:{document.LineOf(path)}", path.Length > 2 ? path[2..] : "", message));

    private sealed record Header(string ApiVersion, string Kind, ObjectName Name);
}
