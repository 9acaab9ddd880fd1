// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Memory;
using Xunit;

namespace Pronghorn.Stack.Tests;

/// <summary>A pool over memory of its own.</summary>
public sealed class FramePoolTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(33)]
    [InlineData(8192)]
    public void Created_IsAlignedToAPage_AndZero_ToItsLastByte(int frames)
    {
        using FramePool pool = FramePool.Create(2048, frames);

        Assert.Equal(0, pool.BaseAddress % 4096);
        for (int i = 0; i < frames; i++)
        {
            Assert.True(pool.TryRent(out int frame));
            Assert.Equal(-1, pool.GetSpan(frame).IndexOfAnyExcept((byte)0));
            pool.GetSpan(frame).Fill(1);
        }

        Assert.False(pool.TryRent(out _));
    }
}
