// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Cli.Benchmarks;

/// <summary>What one run of redis-benchmark showed.</summary>
/// <param name="RequestsPerSecond">Requests answered in a second.</param>
/// <param name="P50Microseconds">Median latency.</param>
/// <param name="P99Microseconds">99th percentile of latency.</param>
/// <param name="Requests">Requests sent.</param>
/// <param name="Cpu">The machine's busy time meanwhile.</param>
internal sealed record RedisRun(
    double RequestsPerSecond, double P50Microseconds, double P99Microseconds, long Requests, ProcessorUse Cpu)
{
    /// <summary>Busy CPU seconds, soft interrupts included, for a million requests.</summary>
    internal double CpuSecondsPerMillion => Cpu.BusySeconds / (Requests / 1e6);
}
