// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <summary>A received segment: its header, parsed, and where its payload lies.</summary>
internal struct TcpSegment
{
    public IpAddress Source;
    public IpAddress Destination;
    public MacAddress SourceMac;
    public int InterfaceId;
    public int Frame;
    public int PayloadOffset;
    public int PayloadLength;
    public ushort SourcePort;
    public ushort DestinationPort;
    public SeqNumber Sequence;
    public SeqNumber Acknowledgment;
    public TcpFlags Flags;
    public ushort Window;

    /// <summary>Whether it came with a SYN, which is dealt with and gone from the flags: the window of such a one has no scale.</summary>
    public bool HadSyn;

    public TcpOptions Options;

    /// <summary>Whether a queue has taken over the frame's reference.</summary>
    public bool FrameTaken;

    /// <summary>SEG.LEN: payload plus SYN and FIN.</summary>
    public readonly int SequenceLength =>
        PayloadLength + ((Flags & TcpFlags.Syn) != 0 ? 1 : 0) + ((Flags & TcpFlags.Fin) != 0 ? 1 : 0);

    /// <summary>The sequence number after the segment's last.</summary>
    public readonly SeqNumber End => Sequence + SequenceLength;

    /// <summary>SEG.WND in bytes (RFC 7323 2.2: that of a SYN is not scaled, though both sides have agreed on a scale already).</summary>
    /// <param name="shift">Snd.Wind.Shift.</param>
    public readonly uint WindowBytes(int shift) => HadSyn ? Window : (uint)Window << shift;

    public readonly bool Is(TcpFlags flag) => (Flags & flag) != 0;
}
