// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;

namespace Pronghorn.LoadBalancer.Sources.Manifests;

/// <summary>One object of a manifest file as JSON, with the lines that its fields stood on.</summary>
/// <param name="Json">The object, UTF-8.</param>
/// <param name="Lines">Line, from 1, by JSON path as System.Text.Json writes it ("$.spec.ports[0].port").</param>
public sealed record ManifestDocument(ReadOnlyMemory<byte> Json, IReadOnlyDictionary<string, int> Lines)
{
    /// <summary>The line of a path, or of the nearest thing around it.</summary>
    public int LineOf(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        string around = path;
        while (true)
        {
            if (Lines.TryGetValue(around, out int line))
            {
                return line;
            }

            int cut = around.LastIndexOfAny(['.', '[']);
            if (cut <= 0)
            {
                return 1;
            }

            around = around[..cut];
        }
    }
}
