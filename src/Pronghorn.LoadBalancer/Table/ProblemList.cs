// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using Pronghorn.LoadBalancer.Cluster;

namespace Pronghorn.LoadBalancer.Table;

/// <summary>Collects what is wrong with one object; bounded, because one broken controller can spoil a thousand endpoints.</summary>
internal sealed class ProblemList
{
    /// <summary>Most problems told of one object.</summary>
    internal const int Limit = 20;

    private readonly ImmutableArray<Problem>.Builder _problems = ImmutableArray.CreateBuilder<Problem>();
    private string _subject = "";
    private int _ofSubject;

    /// <summary>What the next problems are about: "Service shop/cart".</summary>
    internal void Begin(string kind, ObjectName name)
    {
        EndSubject();
        _subject = $"{kind} {name}";
        _ofSubject = 0;
    }

    /// <summary>Notes one.</summary>
    internal void Add(string field, string message)
    {
        if (++_ofSubject <= Limit)
        {
            _problems.Add(new Problem(_subject, field, message));
        }
    }

    /// <summary>All of them.</summary>
    internal ImmutableArray<Problem> ToImmutable()
    {
        EndSubject();
        return _problems.ToImmutable();
    }

    private void EndSubject()
    {
        if (_ofSubject > Limit)
        {
            _problems.Add(new Problem(_subject, "", $"{_ofSubject - Limit} more problems are not shown; mend those above first"));
            _ofSubject = 0;
        }
    }
}
