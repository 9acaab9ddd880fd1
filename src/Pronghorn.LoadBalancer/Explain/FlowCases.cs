// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Text.Json.Serialization;
using Pronghorn.LoadBalancer.Cluster;

namespace Pronghorn.LoadBalancer.Explain;

/// <summary>A flow that did not end as its case says.</summary>
/// <param name="Test">Name of the case.</param>
/// <param name="Flow">Name of the flow.</param>
/// <param name="Packet">The flow itself.</param>
/// <param name="Expected">What the case says: backends in order, REJECT, DROP, ACCEPT or nothing.</param>
/// <param name="Actual">What came out.</param>
/// <param name="ExpectedMasquerade">Whether the case says that the source is rewritten.</param>
/// <param name="ActualMasquerade">Whether it is; null where that cannot be seen.</param>
public sealed record FlowDifference(
    string Test,
    string Flow,
    string Packet,
    string Expected,
    string Actual,
    bool ExpectedMasquerade,
    bool? ActualMasquerade);

/// <summary>How far cases and an evaluation agree.</summary>
/// <param name="Flows">Flows in all.</param>
/// <param name="Agree">Flows that ended as said.</param>
/// <param name="Differences">The others.</param>
public sealed record FlowCaseReport(int Flows, int Agree, IReadOnlyList<FlowDifference> Differences);

/// <summary>Reads files of cases (one JSON object a line) and compares their flows with the resolved table.</summary>
public static class FlowCases
{
    /// <summary>Reads the cases of a file.</summary>
    /// <exception cref="FormatException">A line is not a case; the message has its number.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static IReadOnlyList<FlowCase> Read(string path)
    {
        List<FlowCase> cases = [];
        int number = 0;
        foreach (string line in File.ReadLines(path))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line))
            {
                continue;
            }

            try
            {
                FlowCase one = JsonSerializer.Deserialize(line, FlowCaseJson.Default.FlowCase)
                    ?? throw new JsonException("null is not an object");
                cases.Add(one with
                {
                    Services = [.. (one.Services ?? []).OfType<Service>().Select(KubernetesJson.Complete)],
                    EndpointSlices = [.. (one.EndpointSlices ?? []).OfType<EndpointSlice>().Select(KubernetesJson.Complete)],
                });
            }
            catch (JsonException mistake)
            {
                throw new FormatException($"{path}:{number}: not a case: {mistake.Message}", mistake);
            }
        }

        return cases;
    }

    /// <summary>Evaluates every flow of the cases on the resolved table.</summary>
    /// <exception cref="FormatException">A case has an address that cannot be read.</exception>
    public static FlowCaseReport Compare(IEnumerable<FlowCase> cases)
    {
        ArgumentNullException.ThrowIfNull(cases);
        List<FlowDifference> differences = [];
        int flows = 0;
        foreach (FlowCase one in cases)
        {
            try
            {
                FlowTable table = one.ToTable();
                foreach (CaseFlow wanted in one.Flows ?? [])
                {
                    flows++;
                    Flow flow = wanted.ToFlow();
                    FlowVerdict verdict = table.Evaluate(flow);
                    if (Difference(one, wanted, flow, OutputOf(verdict), verdict.Masquerades) is { } difference)
                    {
                        differences.Add(difference);
                    }
                }
            }
            catch (FormatException mistake)
            {
                throw new FormatException($"{one.Name}: {mistake.Message}", mistake);
            }
        }

        return new FlowCaseReport(flows, flows - differences.Count, differences);
    }

    /// <summary>Compares one flow with what came out.</summary>
    /// <param name="from">The case.</param>
    /// <param name="wanted">What it says.</param>
    /// <param name="flow">The flow as it was read.</param>
    /// <param name="actual">What came out, in the form of the cases; backends in any order.</param>
    /// <param name="masquerades">Whether the source was rewritten; null where that cannot be seen, and is not compared.</param>
    /// <returns>Null if they agree.</returns>
    public static FlowDifference? Difference(FlowCase from, CaseFlow wanted, Flow flow, string actual, bool? masquerades)
    {
        ArgumentNullException.ThrowIfNull(from);
        ArgumentNullException.ThrowIfNull(wanted);
        ArgumentNullException.ThrowIfNull(flow);
        string expected = Sorted(wanted.Output ?? "");
        string found = Sorted(actual);
        return expected == found && (masquerades ?? wanted.Masq) == wanted.Masq
            ? null
            : new FlowDifference(from.Name, wanted.Name ?? "", flow.ToString(), expected, found, wanted.Masq, masquerades);
    }

    /// <summary>A verdict in the form of the cases.</summary>
    public static string OutputOf(FlowVerdict verdict)
    {
        ArgumentNullException.ThrowIfNull(verdict);
        return verdict.Outcome switch
        {
            FlowOutcome.Forward => string.Join(", ", verdict.Backends.Select(one => Explain.Flow.Text(one.Address, one.Port))),
            FlowOutcome.Reject => "REJECT",
            FlowOutcome.Drop => "DROP",
            FlowOutcome.Accept => "ACCEPT",
            _ => "",
        };
    }

    private static string Sorted(string output) => string.Join(
        ", ", output.Split(',', StringSplitOptions.TrimEntries).Order(StringComparer.Ordinal));
}

/// <summary>Readers made at build time: no reflection at run time.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(FlowCase))]
internal sealed partial class FlowCaseJson : JsonSerializerContext;
