// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;

namespace Pronghorn.Simulation;

/// <summary>A program at one end of a connection: it writes a stream, reads and checks the other's, and ends as planned.</summary>
public sealed class SimulatedProgram
{
    // The last wait before a connection that nobody holds any more is given up, where all it sent was refused. One that
    // probes is given more: until probes, each after twice the time of the one before, are MaximumRto apart.
    private static readonly Duration LastWait = Limits.MinimumRto * (1L << Limits.OrphanRetries);

    private readonly Fabric _fabric;
    private readonly SimulatedHost _host;
    private readonly ProgramPlan _plan;
    private readonly ProgramPlan _peer;
    private readonly byte[] _buffer = new byte[65536];
    private Instant _openAt;
    private Instant _closedAt = Instant.Never;
    private bool _readPaused;
    private bool _writePaused;
    private bool _shut;

    /// <summary>Makes a program that has its connection already.</summary>
    public SimulatedProgram(Fabric fabric, SimulatedHost host, int connection, ProgramPlan plan, ProgramPlan peer)
    {
        _fabric = fabric;
        _host = host;
        _plan = plan;
        _peer = peer;
        Connection = connection;
        _openAt = fabric.Now;
    }

    /// <summary>Its connection; 0 when it has let go.</summary>
    public int Connection { get; private set; }

    /// <summary>Whether it has let go of its connection.</summary>
    public bool Finished => Connection == 0;

    /// <summary>Bytes that TCP took.</summary>
    public int Written { get; private set; }

    /// <summary>Bytes that it has read, all of them right.</summary>
    public int Read { get; private set; }

    /// <summary>Whether it came to the end of the peer's stream.</summary>
    public bool SawEnd { get; private set; }

    /// <summary>The error that ended it.</summary>
    public TcpError Error { get; private set; }

    /// <summary>Whether both ends mean to end regularly.</summary>
    public bool IsExpectedToSucceed => _plan.IsOrderly && _peer.IsOrderly;

    /// <summary>
    /// What is not as it should be after a regular end; null when all is. A peer that closed wholly does not wait for ever
    /// for a slow reader in FIN_WAIT_2: a reset after the last byte is in order then. Nor does it try a window for ever
    /// that this program keeps shut: a reset before the last byte is in order once it was shut for the longest wait.
    /// </summary>
    public string? Problem
    {
        get
        {
            bool mayBeReset = _peer.Ending == ProgramEnding.Close;
            bool mayHaveLetGo = mayBeReset || (_peer.Ending == ProgramEnding.HalfClose && _shut);
            bool wasGivenUp = mayHaveLetGo && Error == TcpError.ConnectionReset && _closedAt - _openAt >= LastWait;
            return wasGivenUp || (Written == _plan.Total && Read == _peer.Total && (Error == TcpError.None || mayBeReset))
                ? null
                : ToString();
        }
    }

    /// <summary>Goes on as far as possible.</summary>
    public void Pump()
    {
        if (Finished)
        {
            return;
        }

        TcpState state = _host.Tcp.GetState(Connection);
        if (state is TcpState.SynSent or TcpState.SynReceived)
        {
            return;
        }

        if (state == TcpState.Closed && !_closedAt.IsSet)
        {
            _closedAt = _fabric.Now;
        }

        // As the peer sees it: less than a unit of the scale is told as nothing.
        if (state != TcpState.Closed && _host.Tcp.Get(Connection).RcvWnd >> _host.Tcp.Get(Connection).RcvWindShift > 0)
        {
            _openAt = _fabric.Now;
        }

        PumpReads();
        if (!Finished)
        {
            PumpWrites();
        }

        if (!Finished)
        {
            ConsiderEnding();
        }
    }

    /// <inheritdoc/>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{_host.Name}: {_plan.Ending}, wrote {Written} of {_plan.Total}, read {Read} of {_peer.Total}, end {SawEnd}, ")
        + $"error {Error}, {Describe()}";

    private string Describe()
    {
        if (Finished)
        {
            return "finished";
        }

        ref readonly TransmissionControlBlock tcb = ref _host.Tcp.Get(Connection);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{tcb.State} {tcb.Recovery} una {tcb.SndUna - tcb.Iss} nxt {tcb.SndNxt - tcb.Iss} end {tcb.WriteSeq - tcb.Iss} ")
            + string.Create(
                CultureInfo.InvariantCulture,
                $"wnd {tcb.SndWnd} cwnd {tcb.Cwnd} rcv {tcb.RcvNxt - tcb.Irs} backoff {tcb.Backoff} [{tcb.Flags}]");
    }

    private void PumpReads()
    {
        while (!_readPaused && !SawEnd)
        {
            int room = _fabric.Random.Spread(1, _plan.LargestRead);
            int got = _host.Tcp.Receive(Connection, _buffer.AsSpan(0, room), ReceiveFlags.None, _fabric.Now, out TcpError error);
            if (error == TcpError.WouldBlock)
            {
                return;
            }

            if (error != TcpError.None)
            {
                Fail(error);
                return;
            }

            SawEnd = got == 0;
            CheckRead(got);
            if (_fabric.Random.Chance(_plan.ReadPauses))
            {
                _readPaused = true;
                Resume(() => _readPaused = false);
            }
        }
    }

    private void CheckRead(int got)
    {
        int wrong = _peer.Content.FirstDifference(_buffer.AsSpan(0, got), Read);
        if (wrong >= 0)
        {
            throw new SimulationException(string.Create(
                CultureInfo.InvariantCulture, $"{_host.Name}: byte {Read + wrong} of the stream is wrong"));
        }

        Read += got;
        if (Read > _peer.Total || (SawEnd && _peer.IsOrderly && Read != _peer.Total))
        {
            throw new SimulationException(string.Create(
                CultureInfo.InvariantCulture, $"{_host.Name}: the stream ended after {Read} bytes of {_peer.Total}"));
        }
    }

    private void PumpWrites()
    {
        while (!_writePaused && Written < _plan.Total)
        {
            int count = Math.Min(_fabric.Random.Spread(1, _plan.LargestWrite), _plan.Total - Written);
            _plan.Content.Fill(_buffer.AsSpan(0, count), Written);
            SendFlags flags = _fabric.Random.Chance(_plan.More) ? SendFlags.More : SendFlags.None;
            int taken = _host.Tcp.Send(Connection, _buffer.AsSpan(0, count), flags, _fabric.Now, out TcpError error);
            if (error == TcpError.WouldBlock)
            {
                return;
            }

            if (error != TcpError.None)
            {
                Fail(error);
                return;
            }

            Written += taken;
            if (!_plan.IsOrderly && Written >= _plan.EndAfter)
            {
                return;
            }

            if (_fabric.Random.Chance(_plan.WritePauses))
            {
                _writePaused = true;
                Resume(() => _writePaused = false);
            }
        }
    }

    private void ConsiderEnding()
    {
        bool wroteAll = Written == _plan.Total;
        switch (_plan.Ending)
        {
            case ProgramEnding.HalfClose:
                if (wroteAll && !_shut)
                {
                    _shut = true;
                    _host.Tcp.ShutdownSend(Connection, _fabric.Now);
                }

                if (_shut && SawEnd)
                {
                    Close();
                }

                break;
            case ProgramEnding.Close:
                if (wroteAll && (Read == _peer.Total || SawEnd))
                {
                    Close();
                }

                break;
            case ProgramEnding.CloseEarly:
                if (Written >= _plan.EndAfter)
                {
                    Close();
                }

                break;
            default:
                if (Written >= _plan.EndAfter)
                {
                    int connection = Connection;
                    Connection = 0;
                    _host.Tcp.Abort(connection, _fabric.Now);
                }

                break;
        }
    }

    private void Close()
    {
        int connection = Connection;
        Connection = 0;
        _host.Tcp.Close(connection, _fabric.Now);
    }

    private void Fail(TcpError error)
    {
        Error = error;
        Close();
    }

    private void Resume(Action action)
    {
        long pause = 1000 + (long)(_fabric.Random.Next64() % (ulong)_plan.LongestPause.Nanoseconds);
        _fabric.At(_fabric.Now + new Duration(pause), () =>
        {
            action();
            Pump();
        });
    }
}
