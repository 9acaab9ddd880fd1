// SPDX-License-Identifier: Apache-2.0
using System;
using System.Linq;
using Pronghorn.LoadBalancer.Planning;
using Pronghorn.LoadBalancer.Table;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Planning;

public sealed class MaglevTableTests
{
    [Fact]
    public void HundredBackends_EachGetsItsPartWithinOnePercent()
    {
        uint[] table = Build([.. Enumerable.Range(0, 100)]);

        double fair = table.Length / 100.0;
        Assert.All(table.CountBy(id => id), part => Assert.InRange(part.Value, fair * 0.99, fair * 1.01));
        Assert.Equal(100, table.Distinct().Count());
    }

    [Fact]
    public void OneOfHundredRemoved_OthersKeepAlmostAllOfTheirPlaces()
    {
        uint[] before = Build([.. Enumerable.Range(0, 100)]);
        uint[] after = Build([.. Enumerable.Range(0, 100).Where(number => number != 50)]);

        int moved = before.Zip(after).Count(pair => pair.First != pair.Second && pair.First != 51);

        // A hundredth has to move in any case; the paper finds little more than that again.
        Assert.DoesNotContain(51u, after);
        Assert.InRange(moved, 0, before.Length / 20);
    }

    [Fact]
    public void OtherOrderAndOtherIdentifiers_SameBackendsInSamePlaces()
    {
        int[] numbers = [.. Enumerable.Range(0, 20)];
        Backend[] reversed = [.. numbers.Reverse().Select(TestServices.Endpoint)];
        uint[] table = Build(numbers);
        uint[] other = MaglevTable.Build(reversed, [.. Enumerable.Range(500, 20).Select(id => (uint)id)], MaglevTable.DefaultSize);

        Assert.Equal(table.Select(id => TestServices.Endpoint((int)id - 1)), other.Select(id => reversed[id - 500]));
    }

    [Fact]
    public void EverySize_IsPrimeAndFillsWhole()
    {
        foreach (int size in MaglevTable.Sizes)
        {
            Assert.DoesNotContain(Enumerable.Range(2, (int)Math.Sqrt(size)), divisor => size % divisor == 0);
            uint[] table = MaglevTable.Build([TestServices.Endpoint(1), TestServices.Endpoint(2)], [1, 2], size);
            Assert.Equal(size, table.Length);
            Assert.DoesNotContain(0u, table);
        }
    }

    [Fact]
    public void SizeThatIsNoneOfThem_IsRefused() =>
        Assert.Throws<ArgumentException>(() => MaglevTable.Build([TestServices.Endpoint(1)], [1], 1000));

    /// <summary>Identifiers are one more than the numbers.</summary>
    private static uint[] Build(int[] numbers) => MaglevTable.Build(
        [.. numbers.Select(TestServices.Endpoint)], [.. numbers.Select(number => (uint)number + 1)], MaglevTable.DefaultSize);
}
