// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;

namespace Pronghorn.Cli.Benchmarks;

/// <summary>What to measure, and for how long.</summary>
/// <param name="Workloads">The shapes of load.</param>
/// <param name="Ways">Which ends run on Pronghorn.</param>
/// <param name="Rounds">Measured rounds; each round runs every way once.</param>
/// <param name="Seconds">Length that one run is sized for.</param>
/// <param name="Fifo">Whether both programs run ahead of everything else on the machine.</param>
/// <param name="LibraryDirectory">The native libraries; null when only the kernel is measured.</param>
internal sealed record RedisBenchmarkOptions(
    IReadOnlyList<RedisWorkload> Workloads,
    IReadOnlyList<BenchmarkWay> Ways,
    int Rounds,
    double Seconds,
    bool Fifo,
    string? LibraryDirectory);
