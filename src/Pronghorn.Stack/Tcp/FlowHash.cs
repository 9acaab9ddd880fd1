// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <summary>
/// Hash of a connection's addresses and ports for the flow table: two 64x64 to 128 bit multiplications keyed by a secret.
/// It runs for each segment, so it is cheaper than <see cref="SipHash"/>; what an attacker could gain by collisions is a
/// longer probe, not a forged number.
/// </summary>
internal readonly struct FlowHash(ulong key0, ulong key1)
{
    public uint Hash(in IpAddress local, ushort localPort, in IpAddress remote, ushort remotePort)
    {
        ulong ports = ((ulong)localPort << 16) | remotePort;
        ulong high = Math.BigMul(local.Low ^ key0, remote.Low ^ key1 ^ (ports << 32), out ulong low);
        if (local.High != 0)
        {
            // IPv6: the upper halves count too.
            low ^= Math.BigMul(local.High ^ key1, remote.High ^ key0, out ulong rest) ^ rest;
        }

        high = Math.BigMul(low ^ key1 ^ ports, high ^ key0, out low);
        uint hash = (uint)(high ^ low);
        return hash == 0 ? 1 : hash;
    }
}
