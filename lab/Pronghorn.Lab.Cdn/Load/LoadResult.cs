// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Lab.Cdn.Load;

/// <summary>What clients got within the seconds that were counted.</summary>
/// <param name="Seconds">How many those were.</param>
/// <param name="Bytes">Bytes of files.</param>
/// <param name="Requests">Requests answered in full.</param>
/// <param name="Moves">Requests that another node answered than the one before on the same connection.</param>
/// <param name="Failures">Connections that broke, those that hang at the end, and answers that were wrong.</param>
/// <param name="FirstProblem">What the first of them was.</param>
/// <param name="StallP50">Longest time without a byte within a request, until its end or, where it hangs, until now: median, ms.</param>
/// <param name="StallP99">The same, 99 of 100.</param>
/// <param name="StallMost">The longest.</param>
public sealed record LoadResult(
    double Seconds, long Bytes, long Requests, long Moves, long Failures, string FirstProblem, double StallP50, double StallP99,
    double StallMost);
