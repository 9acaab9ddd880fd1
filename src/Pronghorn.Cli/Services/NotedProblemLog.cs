// SPDX-License-Identifier: Apache-2.0
using System.Threading;
using Pronghorn.LoadBalancer.Cluster;

namespace Pronghorn.Cli.Services;

/// <summary>Writes problems to standard error, a line each.</summary>
internal sealed class NotedProblemLog : IProblemSink
{
    private readonly Lock _gate = new();

    public void Report(Problem problem)
    {
        lock (_gate)
        {
            Terminal.Note(problem.ToString());
        }
    }
}
