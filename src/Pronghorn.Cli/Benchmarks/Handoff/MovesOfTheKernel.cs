// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Lab;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Cli.Benchmarks.Handoff;

/// <summary>
/// The kernel's part of a freeze: the system calls that save an idle connection, restore it and end repair, on one thread of one node,
/// without daemons. What a move does before packets are held and after they are sent on, which is closing the former socket, is not
/// counted here either.
/// </summary>
internal static class MovesOfTheKernel
{
    private const int Moves = 3000;
    private const int FirstMoves = 3000;

    /// <summary>Measures in a namespace.</summary>
    /// <exception cref="LabException">The kernel refused something.</exception>
    internal static MovesRow Measure(NetworkNamespace place, IPAddress address) => NamespaceThread.Run(place, () =>
    {
        using var listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(address, 0));
        listener.Listen(1);
        using var peer = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        peer.Connect(listener.LocalEndPoint!);
        int fd = Libc.Duplicate((int)listener.Accept().Handle);
        try
        {
            return Measure(ref fd);
        }
        finally
        {
            _ = Libc.Close(fd);
        }
    });

    private static MovesRow Measure(ref int fd)
    {
        double[] spent = new double[Moves];
        for (int i = -FirstMoves; i < Moves; i++)
        {
            TimeSpan one = Move(ref fd);
            if (i >= 0)
            {
                spent[i] = one.TotalMicroseconds;
            }
        }

        Array.Sort(spent);
        double median = spent[Moves / 2];
        return new MovesRow
        {
            Connections = 1,
            Way = nameof(MovesWay.Kernel).ToLowerInvariant(),
            MovesPerSecond = Math.Round(1e6 / median, 1),
            FreezeP50Microseconds = Math.Round(median, 1),
            FreezeP99Microseconds = Math.Round(spent[Moves * 99 / 100], 1),
            CpuMicrosecondsPerMove = Math.Round(median, 1),
        };
    }

    private static TimeSpan Move(ref int fd)
    {
        Check(ConnectionCapture.TryInspect(fd, out InspectedConnection? inspected));
        Check(ConnectionRestore.TryPrepare(TcpSocket.Open(inspected!.IsIpv6), out PreparedSocket? prepared));
        long began = Stopwatch.GetTimestamp();
        Refusal refusal = ConnectionCapture.TryTake(fd, inspected, out ConnectionImage? image);
        TimeSpan saving = Stopwatch.GetElapsedTime(began);
        Check(refusal);
        _ = ConnectionCapture.Discard(fd);
        _ = Libc.Close(fd);
        fd = prepared!.Descriptor;
        began = Stopwatch.GetTimestamp();
        refusal = ConnectionRestore.TryFill(prepared, image!, inspected.Local);
        refusal = refusal.IsNone ? ConnectionRestore.GoLive(fd, image!) : refusal;
        TimeSpan restoring = Stopwatch.GetElapsedTime(began);
        Check(refusal);
        return saving + restoring;
    }

    private static void Check(Refusal refusal)
    {
        if (!refusal.IsNone)
        {
            throw new LabException($"a connection did not move: {refusal}");
        }
    }
}
