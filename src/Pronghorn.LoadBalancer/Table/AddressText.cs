// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Table;

/// <summary>Addresses as they stand in Kubernetes objects.</summary>
internal static class AddressText
{
    private const int LongestQuad = 15;

    /// <summary>
    /// Reads an address. Clusters still hold objects from before leading zeros were refused ("010.0.0.1"); like kube-proxy
    /// we read them as decimal, or such a service would vanish when the proxy is exchanged.
    /// </summary>
    internal static bool TryParse(ReadOnlySpan<char> text, out IpAddress address)
    {
        if (IpAddress.TryParse(text, out address))
        {
            return true;
        }

        if (text.Contains(':') || text.Length > LongestQuad)
        {
            return false;
        }

        Span<char> plain = stackalloc char[LongestQuad];
        int length = 0;
        bool startsOctet = true;
        for (int index = 0; index < text.Length; index++)
        {
            bool hasFurtherDigit = index + 1 < text.Length && char.IsAsciiDigit(text[index + 1]);
            if (startsOctet && text[index] == '0' && hasFurtherDigit)
            {
                continue;
            }

            startsOctet = text[index] == '.';
            plain[length++] = text[index];
        }

        return IpAddress.TryParse(plain[..length], out address);
    }

    /// <summary>Why nothing can be reached by an address; null if it can.</summary>
    internal static string? FindUnusable(IpAddress address) => address switch
    {
        { IsAny: true } => "the unspecified address",
        { IsLoopback: true } => "a loopback address",
        { IsMulticast: true } => "a multicast address",
        { IsBroadcast: true } => "the broadcast address",
        _ => null,
    };
}
