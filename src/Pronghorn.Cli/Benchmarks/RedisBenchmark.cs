// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Threading;
using Pronghorn.Cli.Hosting;
using Pronghorn.Lab;

namespace Pronghorn.Cli.Benchmarks;

/// <summary>Runs Debian's redis-server and redis-benchmark, unmodified, in two namespaces: every way in turn.</summary>
internal sealed class RedisBenchmark
{
    internal const int ServerCpu = 1;
    internal const int ClientCpu = 0;
    private const int Port = 6379;
    private const string ReadyMarker = "Ready to accept connections";

    private static readonly TimeSpan s_startLimit = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan s_busyInterval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_runLimit = TimeSpan.FromSeconds(60);

    private readonly RedisBenchmarkOptions _options;
    private readonly BenchmarkNetwork _network;
    private readonly CancellationToken _cancellation;

    private RedisBenchmark(RedisBenchmarkOptions options, BenchmarkNetwork network, CancellationToken cancellation)
    {
        _options = options;
        _network = network;
        _cancellation = cancellation;
    }

    /// <summary>Runs everything; a way that fails is left out of a workload and reported.</summary>
    internal static BenchmarkOutcome Run(RedisBenchmarkOptions options)
    {
        RequirePrograms();
        using Interruption interruption = new();
        if (!options.Fifo)
        {
            Warn(BusyShare(interruption.Token));
        }

        using BenchmarkNetwork network = BenchmarkNetwork.Create(options.Fifo);
        RedisBenchmark benchmark = new(options, network, interruption.Token);
        BenchmarkOutcome outcome = new();
        for (int i = 0; i < options.Workloads.Count; i++)
        {
            RedisWorkload workload = options.Workloads[i];
            Terminal.Note($"[{i + 1}/{options.Workloads.Count}] {workload}");
            benchmark.Measure(workload, outcome);
        }

        return outcome;
    }

    /// <summary>What to say before measuring on a machine that is busy already, null where it is not.</summary>
    /// <param name="busyShare">Part of all CPUs' time that others take, 0 to 1.</param>
    internal static string? BusyWarning(double busyShare) => busyShare < 0.1
        ? null
        : string.Create(
            CultureInfo.InvariantCulture,
            $"other programs keep this machine's CPUs {busyShare:P0} busy: the figures will be noisy; "
            + $"--fifo lets the measured ones go first");

    private static void Warn(double busyShare)
    {
        if (BusyWarning(busyShare) is string warning)
        {
            Terminal.Note(warning);
        }
    }

    private static double BusyShare(CancellationToken cancellation)
    {
        ProcessorTimes before = ProcessorTimes.Read();
        cancellation.WaitHandle.WaitOne(s_busyInterval);
        cancellation.ThrowIfCancellationRequested();
        return ProcessorTimes.Read().Since(before).ShareByCpu.Average();
    }

    private static void RequirePrograms()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            throw new CommandException("bench needs root: it makes network namespaces");
        }

        if (Environment.ProcessorCount < 2)
        {
            throw new CommandException("bench needs two CPUs: one for the server, one for the client");
        }

        foreach (string program in (string[])["redis-server", "redis-benchmark", "ip", "ethtool", "setpriv", "taskset"])
        {
            if (ProgramFile.Find(program) is null)
            {
                throw new CommandException(
                    $"{program} is not installed; on Debian: apt-get install redis-server redis-tools iproute2 ethtool");
            }
        }
    }

    private void Measure(RedisWorkload workload, BenchmarkOutcome outcome)
    {
        Dictionary<BenchmarkWay, long> requests = [];
        Dictionary<BenchmarkWay, List<RedisRun>> runs = [];

        // Round 0 is a short trial that sizes the runs; it is not counted.
        for (int round = 0; round <= _options.Rounds; round++)
        {
            foreach (BenchmarkWay way in _options.Ways)
            {
                if (round > 0 && !requests.ContainsKey(way))
                {
                    continue;
                }

                try
                {
                    RedisRun run = RunOnce(workload, way, requests.GetValueOrDefault(way, workload.TrialRequests));
                    if (round == 0)
                    {
                        requests[way] = Size(run);
                        runs[way] = [];
                        continue;
                    }

                    runs[way].Add(run);
                    Terminal.Note(Progress(way, round, run));
                }
                catch (CommandException failure)
                {
                    requests.Remove(way);
                    outcome.Fail($"{workload}, {way.Name()}: {failure.Message}");
                }
            }
        }

        foreach ((BenchmarkWay way, List<RedisRun> measured) in runs)
        {
            if (requests.ContainsKey(way))
            {
                outcome.Add(workload, way, measured);
            }
        }
    }

    private long Size(RedisRun trial)
    {
        double wanted = trial.RequestsPerSecond * _options.Seconds;
        return Math.Max((long)(wanted / 1000) * 1000, 1000);
    }

    private RedisRun RunOnce(RedisWorkload workload, BenchmarkWay way, long requests)
    {
        using ChildProcess server = StartServer(way);
        try
        {
            if (workload.Command == "GET")
            {
                // Without a value in place, GET would measure the answer "nothing there".
                RunClient(workload with { Command = "SET", Clients = 1, Pipeline = 1 }, BenchmarkWay.Kernel, 1);
            }

            ProcessorTimes before = ProcessorTimes.Read();
            string text = RunClient(workload, way, requests);
            ProcessorUse use = ProcessorTimes.Read().Since(before);
            return RedisBenchmarkOutput.Parse(text, workload.Command, requests, use);
        }
        catch (Exception failure) when (failure is CommandException or FormatException)
        {
            throw new CommandException($"{failure.Message}\nredis-server said:\n{server.Tail}");
        }
        finally
        {
            server.Stop();
        }
    }

    private ChildProcess StartServer(BenchmarkWay way)
    {
        List<string> line = _network.OnServer(ServerCpu, Preload(way.ServerIsOurs()));
        line.AddRange(
        [
            "redis-server", "--bind", TwoHosts.ServerAddress,
            "--port", Port.ToString(CultureInfo.InvariantCulture),
            "--save", "", "--appendonly", "no", "--daemonize", "no", "--protected-mode", "no",
            "--tcp-backlog", "4096", "--dir", Path.GetTempPath(),
        ]);
        ChildProcess server = ChildProcess.Start(line, ReadyMarker);
        try
        {
            server.WaitForMarker(s_startLimit, _cancellation);
            return server;
        }
        catch
        {
            server.Dispose();
            throw;
        }
    }

    private string RunClient(RedisWorkload workload, BenchmarkWay way, long requests)
    {
        List<string> line = _network.OnClient(ClientCpu, Preload(way.ClientIsOurs()));
        line.AddRange(["redis-benchmark", "-h", TwoHosts.ServerAddress, "-k", "1", "--csv"]);
        Add(line, "-p", Port);
        Add(line, "-c", workload.Clients);
        Add(line, "-P", workload.Pipeline);
        Add(line, "-d", workload.Size);
        Add(line, "-n", requests);
        line.AddRange(["-t", workload.Command == "GET" ? "get" : "set"]);
        return ChildProcess.Run(line, s_runLimit, _cancellation);
    }

    private IReadOnlyList<KeyValuePair<string, string>> Preload(bool ours) => ours
        ? PreloadEnvironment.Create(
            _options.LibraryDirectory!, TwoHosts.Interface, strict: true, settings: [], inheritedPreload: null)
        : [];

    private static void Add(List<string> line, string option, long value)
    {
        line.Add(option);
        line.Add(value.ToString(CultureInfo.InvariantCulture));
    }

    private static string Progress(BenchmarkWay way, int round, RedisRun run) => string.Create(
        CultureInfo.InvariantCulture,
        $"    {way.Name(),-6} round {round}: {run.RequestsPerSecond,9:0} req/s, p50 {run.P50Microseconds,6:0} us, "
        + $"p99 {run.P99Microseconds,6:0} us, {run.CpuSecondsPerMillion,6:0.0} CPU s/Mreq, busy: client CPU "
        + $"{run.Cpu.ShareByCpu[ClientCpu] * 100:0} %, server CPU {run.Cpu.ShareByCpu[ServerCpu] * 100:0} %");
}
