// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Explain;

/// <summary>A first packet, or a connection about to be made.</summary>
/// <param name="Source">Who asks.</param>
/// <param name="Destination">What is addressed.</param>
/// <param name="Port">1..65535.</param>
/// <param name="Protocol">TCP, UDP or SCTP.</param>
public sealed record Flow(IpAddress Source, IpAddress Destination, ushort Port, IpProtocol Protocol)
{
    private const string Arrow = "->";

    /// <summary>Reads "10.0.0.2 -> 172.30.0.41:80/tcp"; the arrow and the protocol (TCP) may be left out.</summary>
    /// <param name="text">The flow.</param>
    /// <param name="flow">What was read.</param>
    /// <param name="mistake">What is wrong, if false is returned.</param>
    public static bool TryParse(string text, [NotNullWhen(true)] out Flow? flow, [NotNullWhen(false)] out string? mistake)
    {
        ArgumentNullException.ThrowIfNull(text);
        flow = null;
        string[] words = text.Replace(Arrow, " ", StringComparison.Ordinal)
            .Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (words.Length != 2)
        {
            mistake = $"\"{text}\" is not a flow like \"10.0.0.2 -> 172.30.0.41:80/tcp\" (in quotes, or the shell takes the arrow)";
            return false;
        }

        if (!IpAddress.TryParse(words[0], out IpAddress source))
        {
            mistake = $"the source \"{words[0]}\" is not an IP address";
            return false;
        }

        mistake = ReadTarget(words[1], out IpAddress destination, out ushort port, out IpProtocol protocol);
        if (mistake is null && source.IsIpv4 != destination.IsIpv4)
        {
            mistake = $"{source} and {destination} are not of one family";
        }

        if (mistake is not null)
        {
            return false;
        }

        flow = new Flow(source, destination, port, protocol);
        return true;
    }

    /// <summary>An address and port: 10.0.0.1:80, [2001:db8::1]:80.</summary>
    public static string Text(IpAddress address, ushort port) =>
        address.IsIpv4 ? $"{address}:{port}" : $"[{address}]:{port}";

    /// <inheritdoc/>
    public override string ToString() => $"{Source} {Arrow} {Text(Destination, Port)}/{Protocols.NameOf(Protocol)}";

    private static string? ReadTarget(string text, out IpAddress address, out ushort port, out IpProtocol protocol)
    {
        (address, port, protocol) = (default, 0, IpProtocol.Tcp);
        int slash = text.IndexOf('/', StringComparison.Ordinal);
        string target = slash < 0 ? text : text[..slash];
        if (slash >= 0 && !Protocols.TryParse(text[(slash + 1)..].ToUpperInvariant(), out protocol))
        {
            return $"the protocol \"{text[(slash + 1)..]}\" is not tcp, udp or sctp";
        }

        int colon = target.LastIndexOf(':');
        if (colon < 0)
        {
            return $"the destination \"{target}\" has no port; write ADDRESS:PORT or [ADDRESS]:PORT";
        }

        string host = target[..colon];
        bool isBracketed = host.StartsWith('[') && host.EndsWith(']');
        if (!IpAddress.TryParse(isBracketed ? host[1..^1] : host, out address) || (!address.IsIpv4 && !isBracketed))
        {
            return $"the destination \"{target}\" is not ADDRESS:PORT or, for IPv6, [ADDRESS]:PORT";
        }

        return !ushort.TryParse(target[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out port) || port == 0
            ? $"the port \"{target[(colon + 1)..]}\" is not in 1..65535" : null;
    }
}
