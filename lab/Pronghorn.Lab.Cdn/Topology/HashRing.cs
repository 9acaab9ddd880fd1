// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using Pronghorn.Lab.Cdn.Content;

namespace Pronghorn.Lab.Cdn.Topology;

/// <summary>
/// Consistent hashing: each node has many points on a ring, and a content belongs to the node whose point comes next. A node that comes
/// takes about its share from the others; nothing else moves.
/// </summary>
public sealed class HashRing
{
    private readonly PopStructure _structure;
    private readonly ulong[] _points;
    private readonly PopNode[] _owners;

    /// <summary>Builds the ring.</summary>
    public HashRing(PopStructure structure)
    {
        ArgumentNullException.ThrowIfNull(structure);
        _structure = structure;
        (ulong Point, PopNode Node)[] points =
        [
            .. from node in structure.Nodes
               from number in Enumerable.Range(0, node.Weight * structure.VirtualNodes)
               let point = StableHash.Of(string.Create(CultureInfo.InvariantCulture, $"{node.Name}#{number}"))
               orderby point, node.Name
               select (point, node),
        ];
        _points = [.. points.Select(static one => one.Point)];
        _owners = [.. points.Select(static one => one.Node)];
    }

    /// <summary>The node that has a content.</summary>
    public PopNode Find(string name)
    {
        int at = Array.BinarySearch(_points, StableHash.Of(name));
        at = at < 0 ? ~at : at;
        return _owners[at == _owners.Length ? 0 : at];
    }

    /// <summary>The node after one in the order of the file, the first after the last; the first for a name that it has not.</summary>
    public PopNode After(string node)
    {
        int at = _structure.Nodes.Select(static one => one.Name).ToList().IndexOf(node);
        return _structure.Nodes[(at + 1) % _structure.Nodes.Count];
    }
}
