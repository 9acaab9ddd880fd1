// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;

namespace Pronghorn.Cli.Benchmarks;

/// <summary>Busy and total time of each CPU as /proc/stat counts them (proc_stat(5)).</summary>
/// <remarks>
/// Busy is user, nice, system, irq and softirq. veth runs the receiver's kernel work in the sender's soft interrupts, so
/// counting processes alone would leave out half of it. Time that a hypervisor stole is nobody's work.
/// </remarks>
internal sealed class ProcessorTimes
{
    private const double TicksPerSecond = 100; // USER_HZ, fixed in the ABI of every architecture supported here

    private readonly double[] _busySeconds;
    private readonly double[] _totalSeconds;

    private ProcessorTimes(double[] busySeconds, double[] totalSeconds)
    {
        _busySeconds = busySeconds;
        _totalSeconds = totalSeconds;
    }

    /// <summary>The counters now.</summary>
    internal static ProcessorTimes Read() => Parse(File.ReadAllLines("/proc/stat"));

    /// <summary>Reads the lines "cpuN ..." out of a /proc/stat.</summary>
    internal static ProcessorTimes Parse(IEnumerable<string> lines)
    {
        List<double> busy = [];
        List<double> total = [];
        foreach (string line in lines)
        {
            if (!line.StartsWith("cpu", StringComparison.Ordinal) || line.StartsWith("cpu ", StringComparison.Ordinal))
            {
                continue;
            }

            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            double[] ticks = new double[8]; // user nice system idle iowait irq softirq steal
            for (int i = 0; i < ticks.Length && i + 1 < words.Length; i++)
            {
                ticks[i] = double.Parse(words[i + 1], CultureInfo.InvariantCulture) / TicksPerSecond;
            }

            double work = ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6];
            busy.Add(work);
            total.Add(work + ticks[3] + ticks[4] + ticks[7]);
        }

        return new ProcessorTimes([.. busy], [.. total]);
    }

    /// <summary>Busy seconds of one CPU since the machine started.</summary>
    internal double BusySecondsOf(int processor) => _busySeconds[processor];

    /// <summary>The use between an earlier reading and this one.</summary>
    internal ProcessorUse Since(ProcessorTimes earlier)
    {
        int count = Math.Min(_busySeconds.Length, earlier._busySeconds.Length);
        double busySeconds = 0;
        double[] share = new double[count];
        for (int cpu = 0; cpu < count; cpu++)
        {
            double busy = _busySeconds[cpu] - earlier._busySeconds[cpu];
            double total = _totalSeconds[cpu] - earlier._totalSeconds[cpu];
            busySeconds += busy;
            share[cpu] = total > 0 ? busy / total : 0;
        }

        return new ProcessorUse(busySeconds, share);
    }
}

/// <summary>How busy the machine was over an interval.</summary>
/// <param name="BusySeconds">CPU seconds of work, all CPUs together.</param>
/// <param name="ShareByCpu">For each CPU, the part of the interval it worked, 0 to 1.</param>
internal sealed record ProcessorUse(double BusySeconds, IReadOnlyList<double> ShareByCpu);
