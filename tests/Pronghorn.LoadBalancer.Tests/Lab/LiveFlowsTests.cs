// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
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
}
