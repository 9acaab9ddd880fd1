// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;

namespace Pronghorn.Wire;

/// <summary>What an ARP packet asks or tells (RFC 826).</summary>
public enum ArpOperation : ushort
{
    /// <summary>Not a value from the registry: nothing was read.</summary>
    None = 0,

    /// <summary>Who has the target protocol address?</summary>
    Request = 1,

    /// <summary>The sender has the sender protocol address.</summary>
    Reply = 2,
}

/// <summary>An ARP packet for IPv4 over Ethernet as received (RFC 826).</summary>
public readonly ref struct ArpView
{
    private readonly ReadOnlySpan<byte> _packet;

    private ArpView(ReadOnlySpan<byte> packet) => _packet = packet;

    /// <summary>Request, reply, or a value that is to be ignored.</summary>
    public ArpOperation Operation => (ArpOperation)BinaryPrimitives.ReadUInt16BigEndian(_packet[6..]);

    /// <summary>The sender's hardware address.</summary>
    public MacAddress SenderMac => MacAddress.Read(_packet[8..]);

    /// <summary>The sender's IPv4 address; 0.0.0.0 in a probe (RFC 5227).</summary>
    public IpAddress SenderIp => IpAddress.ReadIpv4(_packet[14..]);

    /// <summary>The target's hardware address; not meaningful in a request.</summary>
    public MacAddress TargetMac => MacAddress.Read(_packet[18..]);

    /// <summary>The target's IPv4 address.</summary>
    public IpAddress TargetIp => IpAddress.ReadIpv4(_packet[24..]);

    /// <summary>Reads an Ethernet payload; false unless it is ARP for IPv4 over Ethernet. Padding after it is ignored.</summary>
    public static bool TryParse(ReadOnlySpan<byte> packet, out ArpView view)
    {
        bool valid = packet.Length >= ArpPacket.Length
            && BinaryPrimitives.ReadUInt32BigEndian(packet) == ArpPacket.EthernetAndIpv4
            && BinaryPrimitives.ReadUInt16BigEndian(packet[4..]) == ArpPacket.AddressLengths;
        view = valid ? new ArpView(packet[..ArpPacket.Length]) : default;
        return valid;
    }
}

/// <summary>Writes ARP packets for IPv4 over Ethernet.</summary>
public static class ArpPacket
{
    /// <summary>Octets of a packet.</summary>
    public const int Length = 28;

    /// <summary>Hardware type 1 (Ethernet) and protocol type 0x0800 (IPv4).</summary>
    internal const uint EthernetAndIpv4 = 0x0001_0800;

    /// <summary>Six octets of hardware address, four of protocol address.</summary>
    internal const ushort AddressLengths = 0x0604;

    /// <summary>Writes the 28 octets of a packet at the start of <paramref name="destination"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is not enough room.</exception>
    public static void Write(
        Span<byte> destination,
        ArpOperation operation,
        MacAddress senderMac,
        in IpAddress senderIp,
        MacAddress targetMac,
        in IpAddress targetIp)
    {
        targetIp.WriteIpv4(destination[24..]);
        targetMac.Write(destination[18..]);
        senderIp.WriteIpv4(destination[14..]);
        senderMac.Write(destination[8..]);
        BinaryPrimitives.WriteUInt16BigEndian(destination[6..], (ushort)operation);
        BinaryPrimitives.WriteUInt16BigEndian(destination[4..], AddressLengths);
        BinaryPrimitives.WriteUInt32BigEndian(destination, EthernetAndIpv4);
    }
}
