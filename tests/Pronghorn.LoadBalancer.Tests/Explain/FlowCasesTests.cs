// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Pronghorn.LoadBalancer.Explain;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Explain;

public sealed class FlowCasesTests
{
    /// <summary>Our own cases, and those recorded from kube-proxy where they are found (<see cref="Recordings"/>).</summary>
    public static TheoryData<string> CaseFiles() =>
        [Path.Combine(AppContext.BaseDirectory, "Explain", "flows.jsonl"), .. Recordings.Find("service_flows.jsonl")];

    [Theory]
    [MemberData(nameof(CaseFiles))]
    public void EveryFlow_EndsAsItsCaseSays(string file)
    {
        FlowCaseReport report = FlowCases.Compare(FlowCases.Read(file));

        Assert.Empty(report.Differences);
        Assert.Equal(report.Flows, report.Agree);
        Assert.Equal(File.ReadLines(file).Sum(line => line.Split("\"sourceIP\"").Length - 1), report.Flows);
    }

    [Theory]
    [InlineData("10.0.1.1:8080", false, null)]
    [InlineData("10.0.1.1:8080", null, null)]
    [InlineData("10.0.1.1:8080", true, "10.0.1.1:8080")]
    [InlineData("REJECT", false, "REJECT")]
    [InlineData("", false, "")]
    [InlineData("10.0.1.1:8080, 10.0.1.2:8080", false, "10.0.1.1:8080, 10.0.1.2:8080")]
    public void Difference_IsInBackendsOrInTheSource(string actual, bool? masquerades, string? difference)
    {
        CaseFlow wanted = new()
        {
            SourceIP = "10.0.0.9",
            DestIP = "172.30.0.1",
            DestPort = 80,
            Output = "10.0.1.1:8080",
        };

        FlowDifference? found = FlowCases.Difference(new FlowCase { Test = "T", Line = "7" }, wanted, wanted.ToFlow(), actual, masquerades);

        Assert.Equal(difference, found?.Actual);
        Assert.Equal(difference is null ? null : "T (line 7)", found?.Test);
    }

    [Theory]
    [InlineData("{\"flows\":[{\"destPort\":\"x\"}]}")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{")]
    public void LineThatIsNoCase_IsNamed(string line)
    {
        FormatException mistake = Assert.Throws<FormatException>(() => WithFile("\n" + line, FlowCases.Read));

        Assert.Contains(":2: not a case", mistake.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"test\":\"T\",\"flows\":[{\"sourceIP\":\"10.0.0.1\",\"destIP\":\"x\",\"destPort\":80}]}")]
    [InlineData("{\"test\":\"T\",\"flows\":[{\"sourceIP\":\"10.0.0.1\",\"destIP\":\"10.0.0.2\",\"destPort\":0}]}")]
    [InlineData("{\"test\":\"T\",\"flows\":[{\"sourceIP\":\"10.0.0.1\",\"destIP\":\"10.0.0.2\",\"destPort\":80,\"protocol\":\"X\"}]}")]
    [InlineData("{\"test\":\"T\",\"nodeIPs\":[\"x\"]}")]
    [InlineData("{\"test\":\"T\",\"nodePortAddresses\":\"[x]\"}")]
    [InlineData("{\"test\":\"T\",\"flows\":[{}]}")]
    public void CaseThatCannotBeRead_IsNamed(string line)
    {
        FormatException mistake = Assert.Throws<FormatException>(() => WithFile(line, path => FlowCases.Compare(FlowCases.Read(path))));

        Assert.StartsWith("T: ", mistake.Message, StringComparison.Ordinal);
    }

    private static T WithFile<T>(string text, Func<string, T> use)
    {
        string path = Path.Combine(Path.GetTempPath(), Guid.NewGuid().ToString("N") + ".jsonl");
        File.WriteAllText(path, text);
        try
        {
            return use(path);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
