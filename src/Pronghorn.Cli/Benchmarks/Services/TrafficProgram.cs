// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Threading;
using Pronghorn.Cli.Hosting;
using Pronghorn.Lab;

namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>What a run of the traffic program came to.</summary>
/// <param name="Operations">Operations that succeeded.</param>
/// <param name="Failures">Those that did not.</param>
/// <param name="Seconds">How long it ran.</param>
/// <param name="P50Microseconds">Median time of an operation.</param>
/// <param name="P99Microseconds">Its 99th percentile.</param>
/// <param name="CpuSeconds">CPU seconds of the whole machine meanwhile.</param>
internal sealed record TrafficRun(
    long Operations, long Failures, double Seconds, double P50Microseconds, double P99Microseconds, double CpuSeconds)
{
    /// <summary>Operations per second.</summary>
    internal double Rate => Operations / Seconds;

    /// <summary>CPU seconds for a million operations.</summary>
    internal double CpuSecondsPerMillion => Operations > 0 ? CpuSeconds / Operations * 1e6 : 0;

    /// <summary>Reads the line that the program prints.</summary>
    internal static TrafficRun Parse(string line, double cpuSeconds)
    {
        string[] words = line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (words.Length != 5)
        {
            throw new CommandException($"the traffic program said '{line.Trim()}', not five numbers");
        }

        double[] numbers = Array.ConvertAll(words, word => double.Parse(word, CultureInfo.InvariantCulture));
        return new TrafficRun((long)numbers[0], (long)numbers[1], numbers[2], numbers[3], numbers[4], cpuSeconds);
    }
}

/// <summary>Starts the program of bench/traffic: its server and its clients.</summary>
internal static class TrafficProgram
{
    /// <summary>Client threads.</summary>
    internal const int Threads = 4;

    private const string FileName = "pronghorn-traffic";

    private static readonly TimeSpan s_startLimit = TimeSpan.FromSeconds(15);

    private static string Executable => Path.Combine(AppContext.BaseDirectory, FileName);

    /// <summary>An error that says what to do where the program has not been built.</summary>
    internal static void Require()
    {
        if (!File.Exists(Executable))
        {
            throw new CommandException($"{Executable} is missing: build the command line anew (eng/build.sh cli)");
        }
    }

    /// <summary>Starts the server in the first pod.</summary>
    internal static ChildProcess Serve(ServiceNode node, CancellationToken cancellation)
    {
        ChildProcess server = ChildProcess.Start(
            Dying(node.Line(
                node.Pods[0], Executable, "serve", Text(BenchmarkCluster.FirstBackendPort), Text(ServicePositions.TargetCount))),
            "ready");
        try
        {
            server.WaitForMarker(s_startLimit, cancellation);
            return server;
        }
        catch
        {
            server.Dispose();
            throw;
        }
    }

    /// <summary>New connections, each with a byte there and back, for a time.</summary>
    internal static TrafficRun Connect(
        ServiceNode node, NetworkNamespace from, string targets, double seconds, CancellationToken cancellation) =>
        Run(node, from, "connect", targets, seconds, cancellation);

    /// <summary>A byte there and back on connections that stay, for a time.</summary>
    internal static TrafficRun Request(
        ServiceNode node, NetworkNamespace from, string targets, double seconds, CancellationToken cancellation) =>
        Run(node, from, "request", targets, seconds, cancellation);

    /// <summary>
    /// Starts to try to connect, until it succeeds; its output's last line is the time then, in nanoseconds of the monotonic clock.
    /// </summary>
    internal static ChildProcess Watch(
        ServiceNode node, NetworkNamespace from, string target, TimeSpan limit, CancellationToken cancellation)
    {
        ChildProcess watcher = ChildProcess.Start(
            Dying(node.Line(from, Executable, "watch", limit.TotalSeconds.ToString(CultureInfo.InvariantCulture), target)), "watching");
        try
        {
            watcher.WaitForMarker(s_startLimit, cancellation);
            return watcher;
        }
        catch
        {
            watcher.Dispose();
            throw;
        }
    }

    private static TrafficRun Run(
        ServiceNode node, NetworkNamespace from, string kind, string targets, double seconds, CancellationToken cancellation)
    {
        IReadOnlyList<string> line = Dying(node.Line(
            from, Executable, kind, seconds.ToString("F2", CultureInfo.InvariantCulture), Text(Threads), targets));
        ProcessorTimes before = ProcessorTimes.Read();
        string output = ChildProcess.Run(line, TimeSpan.FromSeconds(seconds + 15), cancellation);
        return TrafficRun.Parse(output, ProcessorTimes.Read().Since(before).BusySeconds);
    }

    // Killed together with this process, however that ends.
    private static IReadOnlyList<string> Dying(IReadOnlyList<string> line) => ["setpriv", "--pdeathsig", "KILL", .. line];

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
