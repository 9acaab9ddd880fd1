// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading.Tasks;
using Pronghorn.Lab.Services;
using Pronghorn.LoadBalancer.Explain;
using Pronghorn.LoadBalancer.Tests.DataPlane;
using Pronghorn.LoadBalancer.Tests.Sources;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Lab;

[Collection(TestCgroup.Collection)]
public sealed class LiveFlowsTests
{
    [Fact]
    public async Task OwnCases_SentByRealSockets_AllAgree()
    {
        IReadOnlyList<FlowCase> cases = FlowCases.Read(Path.Combine(AppContext.BaseDirectory, "Explain", "flows.jsonl"));
        using var flows = new LiveFlows(new CollectedProblems());

        FlowCaseReport report = await flows.CompareAsync(cases);

        Assert.Empty(report.Differences);
        Assert.NotEqual(0, report.Flows);
    }

    [Fact]
    public async Task CasesThatSayOtherwise_AreDifferences()
    {
        IReadOnlyList<FlowCase> cases = FlowCases.Read(Path.Combine(AppContext.BaseDirectory, "Explain", "flows.jsonl"));
        CaseFlow external = cases[0].Flows!.First(flow => flow.Masq);
        CaseFlow pod = cases[0].Flows![0];
        FlowCase changed = cases[0] with
        {
            Flows = [external with { Masq = false }, pod with { Output = "REJECT" }, pod with { DestPort = 81 }, pod],
        };
        using var flows = new LiveFlows(new CollectedProblems());

        FlowCaseReport report = await flows.CompareAsync([changed]);

        Assert.Equal(1, report.Agree);
        Assert.Equal([true, null, null], report.Differences.Select(difference => difference.ActualMasquerade));
        Assert.Contains(report.Differences[1].Actual, pod.Output!, StringComparison.Ordinal);
        Assert.Equal("", report.Differences[2].Actual);
    }
}
