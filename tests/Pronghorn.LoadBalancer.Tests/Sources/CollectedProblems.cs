// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using Pronghorn.LoadBalancer.Cluster;

namespace Pronghorn.LoadBalancer.Tests.Sources;

/// <summary>Keeps problems for a test to look at.</summary>
internal sealed class CollectedProblems : IProblemSink
{
    private readonly List<Problem> _problems = [];
    private readonly StandingProblems _standing;

    public CollectedProblems() => _standing = new StandingProblems(this);

    public IReadOnlyList<Problem> Standing => _standing.Read();

    public IReadOnlyList<Problem> All
    {
        get
        {
            lock (_problems)
            {
                return [.. _problems];
            }
        }
    }

    public void Report(Problem problem)
    {
        lock (_problems)
        {
            _problems.Add(problem);
        }
    }

    public void Replace(string scope, IReadOnlyCollection<Problem> problems) => _standing.Replace(scope, problems);
}
