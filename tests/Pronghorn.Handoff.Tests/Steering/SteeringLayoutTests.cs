// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Pronghorn.Handoff.Steering;
using Pronghorn.Handoff.Tests.Daemon;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Handoff.Tests.Steering;

/// <summary>What C# and bpf/common/handoff_maps.h say about the same memory.</summary>
public sealed class SteeringLayoutTests
{
    private static readonly string s_headers = Path.Combine(DaemonWorld.Root, "bpf", "common");

    [Fact]
    public void Structures_ComparedWithTheirHeader_HaveTheSameSizesAndOffsets()
    {
        Dictionary<string, long> stated = new()
        {
            ["sizeof(struct handoff_connection)"] = Unsafe.SizeOf<ConnectionKey>(),
            ["sizeof(struct handoff_inbound)"] = Unsafe.SizeOf<InboundEntry>(),
            ["sizeof(struct handoff_outbound)"] = Unsafe.SizeOf<OutboundEntry>(),
            ["sizeof(struct handoff_seeking)"] = Unsafe.SizeOf<SeekingEntry>(),
            ["HANDOFF_HOLD"] = (long)SteeringMode.Hold,
            ["HANDOFF_REDIRECT"] = (long)SteeringMode.Redirect,
            ["HANDOFF_TOMBSTONE"] = (long)SteeringMode.Tombstone,
            ["HANDOFF_SOUGHT"] = (long)SteeringMode.Sought,
            ["HANDOFF_UNKNOWN"] = (long)SteeringMode.Unknown,
            ["HANDOFF_UNANSWERED"] = (long)SteeringMode.Unanswered,
            ["HANDOFF_COUNTERS"] = (long)SteeringCounter.Count,
        };
        Offset<ConnectionKey>("handoff_connection", "local_port", nameof(ConnectionKey.LocalPort));
        Offset<InboundEntry>("handoff_inbound", "target_port", nameof(InboundEntry.TargetPort));
        Offset<InboundEntry>("handoff_inbound", "interface", nameof(InboundEntry.Interface));
        Offset<InboundEntry>("handoff_inbound", "last_seen", nameof(InboundEntry.LastSeen));
        Offset<SeekingEntry>("handoff_seeking", "drops_until", nameof(SeekingEntry.DropsUntil));
        Offset<InboundEntry>("handoff_inbound", "via", nameof(InboundEntry.Via));
        Offset<OutboundEntry>("handoff_outbound", "anchor", nameof(OutboundEntry.Anchor));
        Offset<OutboundEntry>("handoff_outbound", "source_port", nameof(OutboundEntry.SourcePort));
        Offset<OutboundEntry>("handoff_outbound", "packets", nameof(OutboundEntry.Packets));

        Assert.Empty(HeaderCheck.Mismatches(HeaderCheck.X64, "#include <stddef.h>\n#include \"handoff_maps.h\"\n", [s_headers], stated));

        void Offset<T>(string structure, string field, string name) =>
            stated[$"offsetof(struct {structure}, {field})"] = (long)Marshal.OffsetOf<T>(name);
    }

    [Fact]
    public void Counters_HaveTheNamesAndOrderOfTheProgram()
    {
        string header = File.ReadAllText(Path.Combine(s_headers, "handoff_maps.h"));
        string body = Regex.Match(header, @"enum handoff_counter \{(.*?)HANDOFF_COUNTERS", RegexOptions.Singleline).Groups[1].Value;
        string[] program =
        [
            .. Regex.Matches(body, @"HANDOFF_COUNT_(\w+),")
                .Select(match => match.Groups[1].Value.Replace("_", "", StringComparison.Ordinal)),
        ];
        Assert.Equal(program, Enum.GetNames<SteeringCounter>().SkipLast(1).Select(name => name.ToUpperInvariant()));
    }
}
