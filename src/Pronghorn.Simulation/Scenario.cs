// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Simulation;

/// <summary>Runs what a seed says, and judges it: bytes, ends, errors, invariants, leaks.</summary>
public sealed class Scenario : IDisposable
{
    private const ushort FirstPort = 5000;
    private const int RememberedSegments = 60;

    // An ordinary one takes some ten thousand.
    private const int MostSteps = 2_000_000;

    private readonly Fabric _fabric;
    private readonly ScenarioPlan _plan;
    private readonly SimulatedHost _first;
    private readonly SimulatedHost _second;
    private readonly Link _link;
    private readonly List<SimulatedProgram> _programs = [];
    private readonly Dictionary<(SimulatedHost Host, int Connection), SimulatedProgram> _byConnection = [];
    private readonly Queue<string> _trace = new();
    private int _listener;
    private int _accepted;
    private int _steps;
    private ulong _fingerprint;

    private Scenario(ulong seed)
    {
        _fabric = new Fabric(seed);
        _plan = new ScenarioPlan(_fabric.Random);
        _first = _fabric.AddHost("first", _plan.First, _plan.FirstFrames);
        _second = _fabric.AddHost("second", _plan.Second, _plan.SecondFrames);
        _link = _fabric.Connect(_first, _second, _plan.Forward, _plan.Mtu);
        _link.Backward.Settings = _plan.Backward;
        _link.Forward.Observer = (segment, lost) => Remember(segment, lost, ">");
        _link.Backward.Observer = (segment, lost) => Remember(segment, lost, "<");
        _first.OnEvent = e => OnEvent(_first, e);
        _second.OnEvent = e => OnEvent(_second, e);
        _fabric.AfterStep = () =>
        {
            if (++_steps > MostSteps)
            {
                throw new SimulationException("the simulation does not come to an end");
            }

            Invariants.Check(_first);
            Invariants.Check(_second);
        };
    }

    /// <summary>Runs a seed's simulation to its end.</summary>
    /// <returns>A number that depends on every segment, its time and its fate: the same for the same seed.</returns>
    /// <exception cref="SimulationException">Something was wrong; the message tells how to run it again.</exception>
    public static ulong Run(ulong seed)
    {
        using var scenario = new Scenario(seed);
        try
        {
            scenario.Play();
            return scenario._fingerprint;
        }
        catch (Exception problem)
        {
            throw new SimulationException(scenario.Explain(problem), problem);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _fabric.Dispose();

    private void Play()
    {
        SchedulePartitions();
        Open();
        if (!_fabric.RunUntil(Done, Duration.FromSeconds(4 * 3600)))
        {
            throw new SimulationException("the connections did not end");
        }

        Judge();
        if (_listener != 0)
        {
            _second.Tcp.CloseListener(_listener, _fabric.Now);
        }

        _fabric.RunFor(Duration.FromSeconds(1));
        Invariants.CheckNothingHeld(_first);
        Invariants.CheckNothingHeld(_second);
    }

    private bool Done() =>
        _programs.All(p => p.Finished) && _first.Tcp.ConnectionCount == 0 && _second.Tcp.ConnectionCount == 0;

    private void Open()
    {
        if (!_plan.SimultaneousOpen)
        {
            SocketSettings inherited = _plan.Programs[0].Second.Settings;
            _listener = _second.Tcp.Listen(IpAddress.AnyIpv4, FirstPort, 16, 0, inherited, out _);
        }

        for (int i = 0; i < _plan.Programs.Count; i++)
        {
            ushort nearPort = (ushort)(40000 + i);
            ushort farPort = _plan.SimultaneousOpen ? (ushort)(FirstPort + i) : FirstPort;
            (ProgramPlan near, ProgramPlan far) = _plan.Programs[i];
            AddProgram(_first, Connect(_first, nearPort, _second, farPort, near), near, far);
            if (_plan.SimultaneousOpen)
            {
                AddProgram(_second, Connect(_second, farPort, _first, nearPort, far), far, near);
                _accepted++;
            }
        }
    }

    private int Connect(SimulatedHost from, ushort port, SimulatedHost to, ushort toPort, ProgramPlan plan)
    {
        int id = from.Tcp.Connect(
            from.Address, port, to.Address, toPort, 0, plan.Settings, _fabric.Now, out TcpError error);
        return id != 0 ? id : throw new SimulationException($"connect failed: {error}");
    }

    private SimulatedProgram AddProgram(SimulatedHost host, int connection, ProgramPlan own, ProgramPlan peer)
    {
        var program = new SimulatedProgram(_fabric, host, connection, own, peer);
        _programs.Add(program);
        _byConnection[(host, connection)] = program;
        return program;
    }

    private void OnEvent(SimulatedHost host, TcpEvent happened)
    {
        if (happened.IsListener)
        {
            while (_second.Tcp.TryAccept(_listener, out int connection))
            {
                _accepted++;
                int index = _second.Tcp.Get(connection).RemotePort - 40000;
                (ProgramPlan near, ProgramPlan far) = _plan.Programs[index];
                _second.Tcp.ApplySettings(connection, far.Settings, _fabric.Now);
                AddProgram(_second, connection, far, near).Pump();
            }
        }
        else if (_byConnection.TryGetValue((host, happened.Id), out SimulatedProgram? program)
            && program.Connection == happened.Id)
        {
            program.Pump();
        }
    }

    private void SchedulePartitions()
    {
        Instant start = _fabric.Now;
        foreach (Partition partition in _plan.Partitions)
        {
            _fabric.At(start + partition.Start, () => SetPartition(partition.Direction, true));
            _fabric.At(start + partition.Start + partition.Length, () => SetPartition(partition.Direction, false));
        }
    }

    private void SetPartition(int direction, bool cut)
    {
        _link.Forward.Partitioned = direction == 2 ? _link.Forward.Partitioned : cut;
        _link.Backward.Partitioned = direction == 1 ? _link.Backward.Partitioned : cut;
    }

    /// <summary>Where both plans are orderly, nothing may fail and nothing may be missing.</summary>
    private void Judge()
    {
        foreach (SimulatedProgram program in _programs)
        {
            if (program.IsExpectedToSucceed && program.Problem is { } problem)
            {
                throw new SimulationException(problem);
            }
        }
    }

    private void Remember(SegmentInfo segment, bool lost, string way)
    {
        ulong numbers = ((ulong)segment.Sequence.Value << 32) | segment.Acknowledgment.Value;
        ulong rest = ((ulong)segment.PayloadLength << 32) | ((ulong)segment.Flags << 8) | (lost ? 1UL : 0);
        _fingerprint = Prng.Mix(_fingerprint ^ (ulong)segment.Time.Nanoseconds) ^ Prng.Mix(numbers) ^ rest;
        if (_trace.Count == RememberedSegments)
        {
            _trace.Dequeue();
        }

        _trace.Enqueue($"{way} {segment}{(lost ? " LOST" : string.Empty)}");
    }

    private string Explain(Exception problem)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"seed {_fabric.Seed}, at {_fabric.Now.Nanoseconds / 1e9:F6} s: {problem.Message}");
        text.AppendLine();
        text.Append(
            CultureInfo.InvariantCulture,
            $"replay: PRONGHORN_SEED={_fabric.Seed} dotnet test tests/Pronghorn.Simulation.Tests --filter FullyQualifiedName~SeedTests");
        text.AppendLine();
        foreach (SimulatedProgram program in _programs)
        {
            text.AppendLine(program.ToString());
        }

        text.AppendLine("the last segments:");
        foreach (string line in _trace)
        {
            text.AppendLine(line);
        }

        return text.ToString();
    }
}
