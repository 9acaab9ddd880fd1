// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Serialization;
using Pronghorn.Cli.Benchmarks;

namespace Pronghorn.Cli;

/// <summary>The documents that <c>--json</c> prints, serialised by generated code.</summary>
[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    UseStringEnumConverter = true)]
[JsonSerializable(typeof(BenchmarkRecord[]))]
internal sealed partial class JsonFormat : JsonSerializerContext;
