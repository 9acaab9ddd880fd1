// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.LoadBalancer.Sources.Manifests;

/// <summary>A manifest file cannot be read as a whole.</summary>
public sealed class ManifestException : Exception
{
    /// <summary>Makes one.</summary>
    /// <param name="line">Line, from 1.</param>
    /// <param name="message">What is wrong.</param>
    public ManifestException(int line, string message)
        : base(message) => Line = line;

    /// <summary>Line, from 1.</summary>
    public int Line { get; }
}
