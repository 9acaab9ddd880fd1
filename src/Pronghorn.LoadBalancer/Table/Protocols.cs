// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Table;

/// <summary>Protocols and ports as Kubernetes writes them.</summary>
public static class Protocols
{
    /// <summary>Reads TCP, UDP or SCTP; null is TCP. False for anything else.</summary>
    public static bool TryParse(string? text, out IpProtocol protocol)
    {
        protocol = text switch
        {
            null or "TCP" => IpProtocol.Tcp,
            "UDP" => IpProtocol.Udp,
            "SCTP" => IpProtocol.Sctp,
            _ => IpProtocol.HopByHop,
        };
        return protocol != IpProtocol.HopByHop;
    }

    /// <summary>TCP, UDP, SCTP, or the number.</summary>
    public static string NameOf(IpProtocol protocol) => protocol switch
    {
        IpProtocol.Tcp => "TCP",
        IpProtocol.Udp => "UDP",
        IpProtocol.Sctp => "SCTP",
        _ => ((int)protocol).ToString(CultureInfo.InvariantCulture),
    };

    /// <summary>Whether a number is a port that can be addressed.</summary>
    internal static bool IsPort(int number) => number is >= 1 and <= ushort.MaxValue;
}
