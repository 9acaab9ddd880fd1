// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using Pronghorn.Stack;
using Pronghorn.Wire;

namespace Pronghorn.Simulation;

/// <summary>A TCP segment as a link sees it.</summary>
public readonly record struct SegmentInfo(
    Instant Time,
    ushort SourcePort,
    ushort DestinationPort,
    SeqNumber Sequence,
    SeqNumber Acknowledgment,
    TcpFlags Flags,
    ushort Window,
    int PayloadLength)
{
    /// <summary>Reads a frame; false when it holds no TCP segment.</summary>
    public static bool TryRead(ReadOnlySpan<byte> frame, Instant time, out SegmentInfo segment)
    {
        segment = default;
        if (!EthernetView.TryParse(frame, out EthernetView ethernet) || ethernet.Type != EtherType.Ipv4
            || !Ipv4View.TryParse(ethernet.Payload, out Ipv4View ip, out _) || ip.Protocol != IpProtocol.Tcp
            || !TcpView.TryParse(ip.Payload, out TcpView tcp, out _))
        {
            return false;
        }

        segment = new SegmentInfo(
            time, tcp.SourcePort, tcp.DestinationPort, tcp.Sequence, tcp.Acknowledgment, tcp.Flags, tcp.Window,
            tcp.Payload.Length);
        return true;
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Time.Nanoseconds / 1e9:F6} {SourcePort}>{DestinationPort} {Flags} {Sequence}:{PayloadLength} ack {Acknowledgment} win {Window}");
}
