// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Text.Json;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Pronghorn.LoadBalancer.Sources.Manifests;

/// <summary>Turns YAML (and so JSON) text into the JSON documents that it holds, and remembers the lines.</summary>
public static class YamlDocuments
{
    /// <summary>
    /// Nodes that a file may expand to beyond its number of characters, which no file without aliases exceeds. Aliases let a
    /// few lines mean billions.
    /// </summary>
    public const int MaximumAliasedNodes = 100_000;

    /// <summary>Reads all documents; empty ones are left out, lists (kind ...List with items) are taken apart.</summary>
    /// <param name="text">The file.</param>
    /// <exception cref="ManifestException">It is not YAML, or too deep, or expands to too much.</exception>
    public static IReadOnlyList<ManifestDocument> Read(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var stream = new YamlStream();
        try
        {
            stream.Load(new BoundedYamlParser(new StringReader(text)));
        }
        catch (YamlException exception)
        {
            throw new ManifestException((int)exception.Start.Line, Reason(exception));
        }

        List<ManifestDocument> documents = [];
        int budget = text.Length + MaximumAliasedNodes;
        foreach (YamlDocument document in stream.Documents)
        {
            foreach (YamlNode node in Objects(document.RootNode))
            {
                documents.Add(Convert(node, ref budget));
            }
        }

        return documents;
    }

    private static string Reason(YamlException exception) =>
        exception.InnerException is null ? exception.Message : $"{exception.Message}: {exception.InnerException.Message}";

    private static IEnumerable<YamlNode> Objects(YamlNode root)
    {
        if (root is YamlScalarNode { Value: null or "" })
        {
            yield break;
        }

        if (root is YamlMappingNode mapping && Child(mapping, "kind") is YamlScalarNode { Value: string kind }
            && kind.EndsWith("List", StringComparison.Ordinal) && Child(mapping, "items") is YamlSequenceNode items)
        {
            string itemKind = kind[..^"List".Length];
            YamlNode? version = Child(mapping, "apiVersion");
            foreach (YamlNode item in items)
            {
                // Items of a typed list carry no kind or version of their own.
                if (itemKind.Length > 0 && item is YamlMappingNode inner && Child(inner, "kind") is null)
                {
                    inner.Add("kind", itemKind);
                    if (version is not null && Child(inner, "apiVersion") is null)
                    {
                        inner.Add("apiVersion", version);
                    }
                }

                yield return item;
            }

            yield break;
        }

        yield return root;
    }

    private static YamlNode? Child(YamlMappingNode mapping, string name) =>
        mapping.Children.TryGetValue(new YamlScalarNode(name), out YamlNode? child) ? child : null;

    private static ManifestDocument Convert(YamlNode node, ref int budget)
    {
        var buffer = new ArrayBufferWriter<byte>();
        Dictionary<string, int> lines = new(StringComparer.Ordinal);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            Write(node, "$", depth: 0, writer, lines, ref budget);
        }

        return new ManifestDocument(buffer.WrittenMemory, lines);
    }

    private static void Write(
        YamlNode node, string path, int depth, Utf8JsonWriter writer, Dictionary<string, int> lines, ref int budget)
    {
        int line = (int)node.Start.Line;
        if (--budget < 0)
        {
            throw new ManifestException(line, "expands to far more than its text, by its aliases; write it out");
        }

        // Aliases nest without nesting in the text.
        if (depth > BoundedYamlParser.MaximumDepth)
        {
            throw new ManifestException(line, $"nested more than {BoundedYamlParser.MaximumDepth} deep; no Kubernetes object is");
        }

        lines.TryAdd(path, line);
        switch (node)
        {
            case YamlMappingNode mapping:
                WriteMapping(mapping, path, depth, writer, lines, ref budget);
                break;
            case YamlSequenceNode sequence:
                writer.WriteStartArray();
                int index = 0;
                foreach (YamlNode item in sequence)
                {
                    string itemPath = string.Create(CultureInfo.InvariantCulture, $"{path}[{index++}]");
                    Write(item, itemPath, depth + 1, writer, lines, ref budget);
                }

                writer.WriteEndArray();
                break;
            case YamlScalarNode scalar:
                YamlScalar.Write(scalar, writer);
                break;
            default:
                throw new ManifestException(line, "an alias that refers to nothing");
        }
    }

    private static void WriteMapping(
        YamlMappingNode mapping, string path, int depth, Utf8JsonWriter writer, Dictionary<string, int> lines, ref int budget)
    {
        writer.WriteStartObject();
        foreach ((YamlNode key, YamlNode value) in mapping.Children)
        {
            if (key is not YamlScalarNode { Value: string name })
            {
                throw new ManifestException((int)key.Start.Line, "a key that is not a string");
            }

            writer.WritePropertyName(name);
            Write(value, $"{path}.{name}", depth + 1, writer, lines, ref budget);
        }

        writer.WriteEndObject();
    }
}
