// SPDX-License-Identifier: Apache-2.0
using FsCheck.Xunit;
using Xunit;

namespace Pronghorn.Wire.Tests;

public sealed class SeqNumberTests
{
    [Theory]
    [InlineData(0u, 1u)]
    [InlineData(0xFFFF_FFFFu, 0u)]
    [InlineData(0xFFFF_FFFFu, 0x7FFF_FFFEu)]
    [InlineData(0x7FFF_FFFFu, 0x8000_0000u)]
    public void EarlierAndLater_AcrossTheWrap_AreOrdered(uint earlier, uint later)
    {
        var low = new SeqNumber(earlier);
        var high = new SeqNumber(later);

        Assert.True(low < high && low <= high && high > low && high >= low);
        Assert.False(low > high || low >= high || high < low || high <= low || low == high);
        Assert.Equal(high, SeqNumber.Max(low, high));
        Assert.Equal(low, SeqNumber.Min(high, low));
    }

    [Theory]
    [InlineData(0xFFFF_FFF0u, 0xFFFF_FFF0u, 0x10u, true)]
    [InlineData(0xFu, 0xFFFF_FFF0u, 0x10u, true)]
    [InlineData(0x10u, 0xFFFF_FFF0u, 0x10u, false)]
    [InlineData(0xFFFF_FFEFu, 0xFFFF_FFF0u, 0x10u, false)]
    [InlineData(5u, 5u, 5u, false)]
    public void Number_AgainstAHalfOpenInterval_IsInsideOrNot(uint number, uint low, uint high, bool inside)
    {
        Assert.Equal(inside, new SeqNumber(number).IsBetween(new SeqNumber(low), new SeqNumber(high)));
    }

    [Property]
    public bool Distance_OfANumberMovedByAnOffset_IsTheOffset(uint start, int offset)
    {
        var number = new SeqNumber(start);
        return number + offset - number == offset && number + offset - offset == number;
    }

    [Property]
    public bool Number_MovedByAnUnsignedOffset_WrapsAt32Bits(uint start, uint offset)
    {
        return (new SeqNumber(start) + offset).Value == unchecked(start + offset);
    }

    [Property]
    public bool EqualNumbers_Compared_AgreeInEveryWay(uint value)
    {
        var left = new SeqNumber(value);
        var right = new SeqNumber(value);
        return left == right && left.Equals(right) && left.Equals((object)right) && left <= right && left >= right
            && left.GetHashCode() == right.GetHashCode();
    }
}
