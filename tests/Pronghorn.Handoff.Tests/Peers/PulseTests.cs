// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Handoff.Peers;
using Xunit;

namespace Pronghorn.Handoff.Tests.Peers;

public sealed class PulseTests
{
    private readonly Pulse _pulse = new(silent: 3, dead: 5);

    [Fact]
    public void SomethingComesBetweenHeartbeats_NothingIsMissed()
    {
        for (int read = 0; read < 10; read++)
        {
            _pulse.Beat(read);
            Assert.Equal((0, false, false), (_pulse.Missed, _pulse.IsSilent, _pulse.IsDead));
        }
    }

    [Fact]
    public void NothingComes_OtherIsSilent_AndThenItsStreamIsDead()
    {
        _pulse.Beat(7);
        bool[] silent = new bool[5];
        bool[] dead = new bool[5];
        for (int beat = 0; beat < 5; beat++)
        {
            _pulse.Beat(7);
            (silent[beat], dead[beat]) = (_pulse.IsSilent, _pulse.IsDead);
        }

        Assert.Equal([false, false, true, true, true], silent);
        Assert.Equal([false, false, false, false, true], dead);
    }

    [Fact]
    public void SomethingComesAtLast_OtherIsNotSilentAnyMore_AtOnce()
    {
        for (int beat = 0; beat < 5; beat++)
        {
            _pulse.Beat(0);
        }

        Assert.True(_pulse.IsSilent);
        _pulse.Hear();

        Assert.False(_pulse.IsSilent);
    }
}
