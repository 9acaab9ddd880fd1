// SPDX-License-Identifier: Apache-2.0
using System.IO;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Pronghorn.LoadBalancer.Sources.Manifests;

/// <summary>Ends a document that nests too deep before anything recursive sees it: it would end the process.</summary>
internal sealed class BoundedYamlParser : IParser
{
    /// <summary>Levels of nesting. Kubernetes objects have a dozen.</summary>
    public const int MaximumDepth = 64;

    private readonly Parser _parser;
    private int _depth;

    public BoundedYamlParser(TextReader text) => _parser = new Parser(text);

    /// <inheritdoc/>
    public ParsingEvent? Current => _parser.Current;

    /// <inheritdoc/>
    public bool MoveNext()
    {
        bool moved = _parser.MoveNext();
        _depth += _parser.Current?.NestingIncrease ?? 0;

        // The stream and the document count as a level each.
        if (moved && _depth > MaximumDepth + 2)
        {
            throw new ManifestException(
                (int)_parser.Current!.Start.Line, $"nested more than {MaximumDepth} deep; no Kubernetes object is");
        }

        return moved;
    }
}
