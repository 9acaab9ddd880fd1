// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using Pronghorn.Lab;
using Pronghorn.Lab.Services;
using Pronghorn.Linux.Bpf;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Explain;

namespace Pronghorn.Cli.Services;

/// <summary>Flow cases in namespaces, for <c>pronghorn lb explain --cases FILE --live</c>.</summary>
internal static class LiveComparison
{
    /// <summary>Builds the states and sends the flows.</summary>
    /// <exception cref="CommandException">The namespaces or programs are not to be had.</exception>
    internal static FlowCaseReport Run(IReadOnlyList<FlowCase> cases)
    {
        LabCleanup.RemoveStale();
        try
        {
            using var flows = new LiveFlows(new Notes());
            return flows.CompareAsync(cases).GetAwaiter().GetResult();
        }
        catch (Exception failure) when (failure is LabException or BpfException)
        {
            throw new CommandException($"the flows cannot be sent: {failure.Message}");
        }
    }

    private sealed class Notes : IProblemSink
    {
        public void Report(Problem problem) => Terminal.Note(problem.ToString());
    }
}
