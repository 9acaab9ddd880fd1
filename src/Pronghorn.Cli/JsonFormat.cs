// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Serialization;
using Pronghorn.Cli.Benchmarks;
using Pronghorn.Cli.Benchmarks.Handoff;
using Pronghorn.Cli.Benchmarks.Services;
using Pronghorn.Cli.Diagnosis;
using Pronghorn.Cli.Observation;
using Pronghorn.LoadBalancer.Explain;

namespace Pronghorn.Cli;

/// <summary>The documents that <c>--json</c> prints, serialised by generated code.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(BenchmarkRecord[]))]
[JsonSerializable(typeof(ServiceRow[]))]
[JsonSerializable(typeof(HandoffRow[]))]
[JsonSerializable(typeof(MovesRow[]))]
[JsonSerializable(typeof(DiagnosisReport))]
[JsonSerializable(typeof(SocketSnapshot[]))]
[JsonSerializable(typeof(ProcessSnapshot[]))]
[JsonSerializable(typeof(NetworkLink[]))]
[JsonSerializable(typeof(FlowCaseReport))]
[JsonSerializable(typeof(FlowExplanation))]
internal sealed partial class JsonFormat : JsonSerializerContext;
