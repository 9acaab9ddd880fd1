// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Handoff.Peers;

/// <summary>
/// Whether a stream's other end still speaks, counted in heartbeats of this end. A clock would be wrong about a daemon that was stopped
/// itself for a while: nothing was read meanwhile, and nothing was told either.
/// </summary>
/// <param name="silent">Heartbeats without a byte after which the other is taken to be silent.</param>
/// <param name="dead">Heartbeats without a byte after which the stream is of no more use.</param>
internal sealed class Pulse(int silent, int dead)
{
    private long _read = -1;
    private volatile int _missed;

    /// <summary>Heartbeats since the last byte.</summary>
    internal int Missed => _missed;

    /// <summary>Whether nothing has come for too long to begin anything with the other.</summary>
    internal bool IsSilent => _missed >= silent;

    /// <summary>Whether nothing has come for so long that another stream should be tried.</summary>
    internal bool IsDead => _missed >= dead;

    /// <summary>Counts a heartbeat of this end.</summary>
    /// <param name="read">How often something was read from the stream, until now.</param>
    internal void Beat(long read)
    {
        _missed = read == _read ? _missed + 1 : 0;
        _read = read;
    }

    /// <summary>Something has come.</summary>
    internal void Hear() => _missed = 0;
}
