// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;

namespace Pronghorn.Lab;

/// <summary>How to start a program in a namespace.</summary>
public sealed class LabProcessOptions
{
    /// <summary>Processor to pin it to, from 0; null for any.</summary>
    public int? Processor { get; init; }

    /// <summary>Variables added to the environment; a null value removes one.</summary>
    public IReadOnlyDictionary<string, string?> Environment { get; init; } = new Dictionary<string, string?>();

    /// <summary>Directory to start in; null for this process's own.</summary>
    public string? WorkingDirectory { get; init; }
}
