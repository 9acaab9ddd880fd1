// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Stack;

namespace Pronghorn.Posix.Tests;

/// <summary>The virtual time of a network.</summary>
internal sealed class Clock
{
    public Instant Now { get; set; } = new(5_000_000_000);
}
