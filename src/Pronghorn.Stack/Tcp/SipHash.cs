// SPDX-License-Identifier: Apache-2.0
using System.Numerics;
using Pronghorn.Wire;

namespace Pronghorn.Stack.Tcp;

/// <summary>
/// SipHash-2-4 of a connection's addresses and ports under a secret: for hash tables that a peer cannot aim at, and for
/// initial sequence numbers. See Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012.
/// </summary>
internal readonly struct SipHash(ulong key0, ulong key1)
{
    public ulong Hash(in IpAddress local, ushort localPort, in IpAddress remote, ushort remotePort)
    {
        State state = new(key0, key1);
        AbsorbAddresses(ref state, local, remote);
        state.Absorb(((ulong)localPort << 16) | remotePort | (12UL << 56));
        return state.Finish();
    }

    /// <summary>The same with eight octets more. Its length keeps its values apart from those of the shorter input.</summary>
    public ulong Hash(in IpAddress local, ushort localPort, in IpAddress remote, ushort remotePort, ulong extra)
    {
        State state = new(key0, key1);
        AbsorbAddresses(ref state, local, remote);
        state.Absorb(extra);
        state.Absorb(((ulong)localPort << 16) | remotePort | (20UL << 56));
        return state.Finish();
    }

    private static void AbsorbAddresses(ref State state, in IpAddress local, in IpAddress remote)
    {
        if (local.IsIpv4 && remote.IsIpv4)
        {
            state.Absorb(((ulong)local.ToIpv4() << 32) | remote.ToIpv4());
        }
        else
        {
            state.Absorb(local.High);
            state.Absorb(local.Low);
            state.Absorb(remote.High);
            state.Absorb(remote.Low);
        }
    }

    private struct State(ulong key0, ulong key1)
    {
        private ulong _v0 = key0 ^ 0x736f6d6570736575;
        private ulong _v1 = key1 ^ 0x646f72616e646f6d;
        private ulong _v2 = key0 ^ 0x6c7967656e657261;
        private ulong _v3 = key1 ^ 0x7465646279746573;

        public void Absorb(ulong word)
        {
            _v3 ^= word;
            Round();
            Round();
            _v0 ^= word;
        }

        public ulong Finish()
        {
            _v2 ^= 0xff;
            Round();
            Round();
            Round();
            Round();
            return _v0 ^ _v1 ^ _v2 ^ _v3;
        }

        private void Round()
        {
            _v0 += _v1;
            _v1 = BitOperations.RotateLeft(_v1, 13) ^ _v0;
            _v0 = BitOperations.RotateLeft(_v0, 32);
            _v2 += _v3;
            _v3 = BitOperations.RotateLeft(_v3, 16) ^ _v2;
            _v0 += _v3;
            _v3 = BitOperations.RotateLeft(_v3, 21) ^ _v0;
            _v2 += _v1;
            _v1 = BitOperations.RotateLeft(_v1, 17) ^ _v2;
            _v2 = BitOperations.RotateLeft(_v2, 32);
        }
    }
}
