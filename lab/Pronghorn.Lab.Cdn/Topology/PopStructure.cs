// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Pronghorn.Handoff.Configuration;
using Pronghorn.Linux.Files;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Lab.Cdn.Topology;

/// <summary>What is wrong with a pop_struct.conf, and in which line.</summary>
public sealed class PopStructureException : Exception
{
    /// <summary>Says it.</summary>
    public PopStructureException(string message)
        : base(message)
    {
    }

    /// <summary>Says it, with the cause.</summary>
    public PopStructureException(string message, Exception inner)
        : base(message, inner)
    {
    }

    /// <summary>Says nothing.</summary>
    public PopStructureException()
    {
    }
}

/// <summary>A node of a point of presence.</summary>
/// <param name="Name">Its name.</param>
/// <param name="End">Where its server listens; port 0: where the one who asks does.</param>
/// <param name="Weight">Its share of the contents, against the others'.</param>
public sealed record PopNode(string Name, TcpEnd End, int Weight = 1);

/// <summary>The nodes of a point of presence, as pop_struct.conf has them: lines of key = value.</summary>
/// <param name="Nodes">The nodes.</param>
/// <param name="VirtualNodes">Points on the ring for each node and each unit of its weight.</param>
public sealed record PopStructure(IReadOnlyList<PopNode> Nodes, int VirtualNodes = PopStructure.DefaultVirtualNodes)
{
    /// <summary>Points on the ring unless the file says otherwise.</summary>
    public const int DefaultVirtualNodes = 160;

    private const int MostVirtualNodes = 10_000;
    private const int MostWeight = 100;

    /// <summary>Reads a file.</summary>
    /// <exception cref="PopStructureException">It is wrong; the message names file and line.</exception>
    public static PopStructure Read(string path)
    {
        try
        {
            return Parse(File.ReadAllLines(path), path);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new PopStructureException($"{path}: {FileFailure.Describe(path, failure)}", failure);
        }
    }

    /// <summary>Reads the lines of a file.</summary>
    /// <exception cref="PopStructureException">A line is wrong; the message names it.</exception>
    public static PopStructure Parse(IReadOnlyList<string> lines, string name)
    {
        ArgumentNullException.ThrowIfNull(lines);
        List<PopNode> nodes = [];
        int? virtualNodes = null;
        for (int i = 0; i < lines.Count; i++)
        {
            string line = lines[i].Split('#')[0].Trim();
            if (line.Length == 0)
            {
                continue;
            }

            int at = line.IndexOf('=', StringComparison.Ordinal);
            string key = at < 0 ? line : line[..at].Trim();
            string value = at < 0 ? "" : line[(at + 1)..].Trim();
            string? problem = key switch
            {
                _ when ShownText.HasControl(line) => $"{ShownText.Quote(line)} has control characters; is this a pop_struct.conf?",
                "node" => AddNode(nodes, value),
                "virtual_nodes" when virtualNodes is not null => "virtual_nodes is there twice",
                "virtual_nodes" => TryNumber(value, MostVirtualNodes, out virtualNodes)
                    ? null : $"virtual_nodes is a number from 1 to {MostVirtualNodes}, not {ShownText.Quote(value)}",
                _ => $"{ShownText.Quote(key)} is none of node, virtual_nodes",
            };
            if (problem is not null)
            {
                throw new PopStructureException(string.Create(CultureInfo.InvariantCulture, $"{name}:{i + 1}: {problem}"));
            }
        }

        return nodes.Count > 0
            ? new PopStructure(nodes, virtualNodes ?? DefaultVirtualNodes)
            : throw new PopStructureException($"{name}: there is no line 'node = NAME ADDRESS[:PORT] [WEIGHT]'");
    }

    private static string? AddNode(List<PopNode> nodes, string value)
    {
        string[] words = value.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
        if (words.Length is not (2 or 3))
        {
            return "node = NAME ADDRESS[:PORT] [WEIGHT]";
        }

        if (!TryEnd(words[1], out TcpEnd end))
        {
            return $"{ShownText.Quote(words[1])} is no address, as 10.0.0.2, 10.0.0.2:8000, fd00::2 or [fd00::2]:8000";
        }

        int? weight = 1;
        if (words.Length == 3 && !TryNumber(words[2], MostWeight, out weight))
        {
            return $"a weight is a number from 1 to {MostWeight}, not {ShownText.Quote(words[2])}";
        }

        if (nodes.Any(node => node.Name == words[0]))
        {
            return $"there are two nodes {ShownText.Quote(words[0])}";
        }

        if (nodes.Any(node => node.End == end))
        {
            return $"two nodes are at {ShownText.Of(words[1])}";
        }

        nodes.Add(new PopNode(words[0], end, weight!.Value));
        return null;
    }

    private static bool TryEnd(string text, out TcpEnd end)
    {
        bool hasPort = text.StartsWith('[') || text.Count(one => one == ':') == 1;
        end = default;
        string address = text;
        ushort port = 0;
        if (hasPort)
        {
            int at = text.LastIndexOf(':');
            address = text[..at].Trim('[', ']');
            if (!ushort.TryParse(text.AsSpan(at + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port) || port == 0)
            {
                return false;
            }
        }

        if (!System.Net.IPAddress.TryParse(address, out System.Net.IPAddress? parsed))
        {
            return false;
        }

        end = new TcpEnd(IpAddress.Parse(parsed.ToString()), port);
        return true;
    }

    private static bool TryNumber(string text, int most, out int? number)
    {
        bool isGood = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int read) && read >= 1 && read <= most;
        number = read;
        return isGood;
    }
}
