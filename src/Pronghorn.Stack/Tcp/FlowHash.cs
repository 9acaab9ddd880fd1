// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <summary>
/// Hash of a connection's addresses and ports for the flow table: keyed multiply and fold, thrice. It runs for each
/// segment, so it is cheaper than <see cref="SipHash"/>; what an attacker could gain by collisions is a longer probe, not
/// a forged number. Low halves of products only: the high half is slow on a processor that may lack MULX.
/// </summary>
internal readonly struct FlowHash(ulong key0, ulong key1)
{
    private const ulong Odd0 = 0x9e3779b97f4a7c15;
    private const ulong Odd1 = 0xd6e8feb86659fd93;

    public uint Hash(in IpAddress local, ushort localPort, in IpAddress remote, ushort remotePort)
    {
        ulong hash = Fold((remote.Low ^ key0) * Odd0);
        hash = Fold((hash ^ local.Low ^ key1) * Odd1);
        if (local.High != 0)
        {
            // IPv6: the upper halves count too.
            hash = Fold((hash ^ remote.High ^ key0) * Odd0);
            hash = Fold((hash ^ local.High ^ key1) * Odd1);
        }

        hash = Fold((hash ^ ((ulong)remotePort << 16) ^ localPort ^ key0) * Odd0);
        return (uint)hash == 0 ? 1 : (uint)hash;
    }

    private static ulong Fold(ulong product) => product ^ (product >> 32);
}
