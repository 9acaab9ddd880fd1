// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;

namespace Pronghorn.LoadBalancer.Cluster;

/// <summary>Something wrong in what came from outside. The rest goes on working.</summary>
/// <param name="Subject">Object or file, with line where there is one: "Service shop/cart", "web.yaml:12".</param>
/// <param name="Field">Field as in the API: "spec.ports[0].port"; empty for the whole object.</param>
/// <param name="Message">What is wrong, and what to do.</param>
public sealed record Problem(string Subject, string Field, string Message)
{
    /// <inheritdoc/>
    public override string ToString() => Field.Length == 0 ? $"{Subject}: {Message}" : $"{Subject}: {Field}: {Message}";
}

/// <summary>Takes problems: a log, a list in a test.</summary>
public interface IProblemSink
{
    /// <summary>Takes one. May be called from any thread.</summary>
    void Report(Problem problem);

    /// <summary>Takes all that is wrong now in a part of what comes from outside, in place of what was before.</summary>
    /// <param name="scope">The part: a file, a resource of the API server, an interface.</param>
    /// <param name="problems">What is wrong; none if nothing is any more.</param>
    void Replace(string scope, IReadOnlyCollection<Problem> problems)
    {
        ArgumentNullException.ThrowIfNull(problems);
        foreach (Problem problem in problems)
        {
            Report(problem);
        }
    }
}
