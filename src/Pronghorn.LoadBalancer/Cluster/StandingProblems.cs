// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Threading;

namespace Pronghorn.LoadBalancer.Cluster;

/// <summary>Keeps what is wrong now, by scope, and passes on what is new of it. May be used by any thread.</summary>
/// <param name="log">Is told of each problem when it comes up.</param>
public sealed class StandingProblems(IProblemSink log) : IProblemSink
{
    private readonly Lock _gate = new();
    private readonly SortedDictionary<string, ImmutableArray<Problem>> _standing = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    public void Report(Problem problem) => log.Report(problem);

    /// <inheritdoc/>
    public void Replace(string scope, IReadOnlyCollection<Problem> problems)
    {
        ArgumentNullException.ThrowIfNull(problems);
        lock (_gate)
        {
            ImmutableArray<Problem> before = _standing.GetValueOrDefault(scope, []);
            if (problems.Count == 0)
            {
                _standing.Remove(scope);
            }
            else
            {
                _standing[scope] = [.. problems];
            }

            foreach (Problem problem in problems.Except(before))
            {
                log.Report(problem);
            }
        }
    }

    /// <summary>Everything that is wrong now.</summary>
    public ImmutableArray<Problem> Read()
    {
        lock (_gate)
        {
            return [.. _standing.Values.SelectMany(static problems => problems)];
        }
    }
}

/// <summary>Collects what is told, to be passed on as a whole.</summary>
internal sealed class ProblemCollector : IProblemSink
{
    /// <summary>What was told.</summary>
    public List<Problem> Problems { get; } = [];

    /// <inheritdoc/>
    public void Report(Problem problem) => Problems.Add(problem);
}
