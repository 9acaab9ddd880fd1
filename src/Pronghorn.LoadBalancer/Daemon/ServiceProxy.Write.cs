// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Diagnostics;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Planning;
using Pronghorn.LoadBalancer.Table;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>Writing, and what is told of it.</summary>
public sealed partial class ServiceProxy
{
    private void Write(List<ServiceState> applied, List<ObjectName> removed, bool isWhole, long arrived)
    {
        long began = Stopwatch.GetTimestamp();
        try
        {
            Execute(_nodePlanner.Apply(_facts));
            Plan plan = isWhole ? _planner.Synchronize(_states.Values) : _planner.Apply(applied, removed);
            Execute(plan.Writes);
            TellReassessed(plan);
        }
        catch (MapWriteException failure)
        {
            Fail(failure);
            return;
        }

        if (isWhole || applied.Count + removed.Count > 0)
        {
            _metrics.SyncDuration.Observe(Stopwatch.GetElapsedTime(began));
            _metrics.ProgrammingDuration.Observe(Stopwatch.GetElapsedTime(arrived));
            _metrics.LastSync = DateTimeOffset.UtcNow;
            Changed?.Invoke(applied);
        }

        _synced.TrySetResult();
    }

    /// <summary>Reads the maps and makes them right, as after a crash.</summary>
    private void Rebuild()
    {
        lock (_gate)
        {
            _metrics.Rebuilds++;
            Begin();
            try
            {
                Execute(_nodePlanner.Apply(_facts));
                if (_failures > 2)
                {
                    // Room that what is stale takes while what is new comes beside it: rather begin with nothing than never.
                    Execute(_planner.Synchronize([]).Writes);
                }

                Plan plan = _planner.Synchronize(_states.Values);
                Execute(plan.Writes);
                _failures = 0;
                _metrics.LastSync = DateTimeOffset.UtcNow;
                _synced.TrySetResult();
                TellReassessed(plan);
                Changed?.Invoke([.. _states.Values]);
            }
            catch (MapWriteException failure)
            {
                Fail(failure);
            }
        }
    }

    private void Execute(IReadOnlyList<MapWrite> writes)
    {
        _writer.Execute(writes);
        _metrics.Writes += writes.Count;
    }

    private void Fail(MapWriteException failure)
    {
        _failures++;
        _metrics.SyncFailures++;
        _problems.Report(new Problem(
            "maps",
            "",
            $"{failure.Message} What was served goes on; the maps are read and written anew in {PauseAfter(_failures).TotalSeconds} s."));
    }

    /// <summary>Tells of problems that were not told before, and forgets those that are gone.</summary>
    private void Tell(IEnumerable<ObjectName> services)
    {
        foreach (ObjectName name in services)
        {
            ImmutableArray<Problem> now = _states.TryGetValue(name, out ServiceState? state) ? state.Problems : [];
            now = now.AddRange(_planner.ProblemsOf(name));
            ImmutableArray<Problem> before = _told.GetValueOrDefault(name, []);
            foreach (Problem problem in now.Except(before))
            {
                _problems.Report(problem);
            }

            if (now.IsEmpty)
            {
                _told.Remove(name);
            }
            else
            {
                _told[name] = now;
            }
        }
    }

    private void TellReassessed(Plan plan) => Tell(plan.Reassessed);
}
