// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Handoff.Steering;

/// <summary>
/// A connection's stay with one owner. Ports are used again and words of two moves may come in the wrong order, so whatever is said of
/// a connection says which one and which of its stays.
/// </summary>
/// <param name="Connection">The connection: a number drawn at random when it moves first.</param>
/// <param name="Epoch">How often it has moved until this stay: 1 or more.</param>
public readonly record struct Stay(ulong Connection, uint Epoch)
{
    /// <summary>The stay after this one.</summary>
    public Stay Next() => this with { Epoch = Epoch + 1 };

    /// <summary>Whether this is a later stay of the same connection.</summary>
    public bool IsAfter(Stay other) => Connection == other.Connection && Epoch > other.Epoch;
}
