// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Serialization;

namespace Pronghorn.Cli.Diagnosis;

/// <summary>How good a finding is.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<FindingStatus>))]
internal enum FindingStatus
{
    /// <summary>As it should be.</summary>
    [JsonStringEnumMemberName("ok")]
    Ok,

    /// <summary>Pronghorn works, slower or with less.</summary>
    [JsonStringEnumMemberName("warn")]
    Warn,

    /// <summary>Pronghorn does not work; programs run on the kernel's stack.</summary>
    [JsonStringEnumMemberName("fail")]
    Fail,
}

/// <summary>What one check of this machine found.</summary>
/// <param name="Check">What was looked at.</param>
/// <param name="Status">How good it is.</param>
/// <param name="Detail">What was found, and why it matters where it is not as it should be.</param>
/// <param name="Advice">How to get it; empty where all is well.</param>
internal sealed record Finding(string Check, FindingStatus Status, string Detail, string Advice = "")
{
    internal static Finding Ok(string check, string detail) => new(check, FindingStatus.Ok, detail);

    internal static Finding Warn(string check, string detail, string advice) =>
        new(check, FindingStatus.Warn, detail, advice);

    internal static Finding Fail(string check, string detail, string advice) =>
        new(check, FindingStatus.Fail, detail, advice);
}

/// <summary>The document of <c>doctor --json</c>.</summary>
/// <param name="Status">The worst of the findings.</param>
/// <param name="Findings">Every finding.</param>
internal sealed record DiagnosisReport(FindingStatus Status, Finding[] Findings);
