// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.LoadBalancer.Maps;

namespace Pronghorn.LoadBalancer.Planning;

/// <summary>
/// Gives out identifiers that were never used before, also by earlier runs: a mark that lies above all used ones is kept in
/// the maps, and moves on in strides before an identifier beyond it is used.
/// </summary>
internal sealed class Identifiers
{
    private const uint Stride = 1024;

    private readonly IdentifierKind _kind;
    private uint _next = 1;
    private uint _mark;
    private uint _writtenMark;

    public Identifiers(IdentifierKind kind) => _kind = kind;

    /// <summary>Goes on above what earlier runs used.</summary>
    /// <param name="mark">The mark found; 0 if none.</param>
    /// <param name="highest">The highest identifier found; 0 if none.</param>
    public void Restore(uint mark, uint highest)
    {
        _mark = mark;
        _writtenMark = mark;
        _next = Math.Max(Math.Max(mark, highest + 1), 1);
    }

    public uint Next()
    {
        if (_next > uint.MaxValue - Stride)
        {
            throw new InvalidOperationException(
                $"All identifiers of kind {_kind} have been used; disable the load balancer and enable it again.");
        }

        uint id = _next++;
        if (_next > _mark)
        {
            _mark = _next + Stride;
        }

        return id;
    }

    /// <summary>Writes the mark if it has moved.</summary>
    public void Flush(PlanBuilder plan)
    {
        if (_mark != _writtenMark)
        {
            plan.PutMark(_kind, _mark);
            _writtenMark = _mark;
        }
    }
}
