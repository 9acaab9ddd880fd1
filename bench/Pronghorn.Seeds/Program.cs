// SPDX-License-Identifier: Apache-2.0
// The protocol code in one program that needs no runtime beside it: for processors on which the tests do not run (eng/arm64-check.sh).
using System;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Pronghorn.Simulation;
using Pronghorn.Wire;

int count = 20;
ulong first = 0;
if (args.Length > 2
    || (args.Length > 0 && (!int.TryParse(args[0], CultureInfo.InvariantCulture, out count) || count < 1))
    || (args.Length > 1 && !ulong.TryParse(args[1], CultureInfo.InvariantCulture, out first)))
{
    Console.Error.WriteLine("usage: Pronghorn.Seeds [COUNT [FIRST]]    runs COUNT (20) simulations, of seeds from FIRST (0) on");
    return 2;
}

var watch = Stopwatch.StartNew();
int passed = 0;
int failed = 0;
Console.WriteLine($"{RuntimeInformation.ProcessArchitecture}, vectors of {(Vector128.IsHardwareAccelerated ? "128 bits" : "none")}");
Check("checksums of 3,000 lengths", CompareChecksums);
for (int i = 0; i < count; i++)
{
    ulong seed = unchecked(first + (ulong)i);
    Check($"seed {seed}", () => Scenario.Run(seed));
}

Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{watch.Elapsed.TotalSeconds:0.0} s"));
Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{passed} passed, {failed} failed"));
return failed == 0 ? 0 : 1;

void Check(string name, Action check)
{
    try
    {
        check();
        passed++;
    }
    catch (Exception problem) when (problem is SimulationException or InvalidOperationException)
    {
        failed++;
        Console.WriteLine($"{name}: {problem.Message}");
    }
}

// RFC 1071, word by word, against what vectors make of it.
static void CompareChecksums()
{
    var random = new Random(1);
    byte[] bytes = new byte[3_100];
    random.NextBytes(bytes);
    for (int length = 0; length < 3_000; length++)
    {
        ReadOnlySpan<byte> part = bytes.AsSpan(random.Next(100), length);
        uint sum = 0;
        for (int i = 0; i < length; i++)
        {
            sum += i % 2 == 0 ? (uint)part[i] << 8 : part[i];
        }

        while (sum > ushort.MaxValue)
        {
            sum = (sum & ushort.MaxValue) + (sum >> 16);
        }

        ushort found = Checksum.Finish(Checksum.Sum(part));
        if (found != (ushort)~sum)
        {
            throw new InvalidOperationException(string.Create(
                CultureInfo.InvariantCulture, $"of {length} bytes: {found:x4}, not {(ushort)~sum:x4}"));
        }
    }
}
