// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.IO;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Sockets;
using Pronghorn.Handoff.Workers;
using Pronghorn.Linux.Files;

namespace Pronghorn.Handoff.Client;

/// <summary>A handoff in which the daemon ended: the next daemon knows what was decided, and wakes the connection or ends it.</summary>
internal static class InterruptedHandoff
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(50);

    /// <summary>Waits for a daemon, and asks it.</summary>
    /// <param name="path">The daemon's socket.</param>
    /// <param name="question">What to ask: <see cref="WorkerMessageKind.Recover"/> or <see cref="WorkerMessageKind.Finish"/>.</param>
    /// <param name="connection">The connection.</param>
    /// <param name="limit">How long to wait for a daemon.</param>
    /// <param name="cancellation">Ends the waiting.</param>
    /// <exception cref="IOException">No daemon has answered in time.</exception>
    internal static async Task<HandoffResult> EndAsync(
        string path, WorkerMessage question, SafeHandle connection, TimeSpan limit, CancellationToken cancellation)
    {
        long began = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                HandoffResult result = await AskAsync(path, question, connection, cancellation).ConfigureAwait(false);
                if (result.Reason != RefusalReason.Busy || Stopwatch.GetElapsedTime(began) > limit)
                {
                    return result;
                }
            }
            catch (Exception failure) when (failure is SocketException or ImageFormatException)
            {
                if (Stopwatch.GetElapsedTime(began) > limit)
                {
                    throw new IOException(
                        $"{path}: the handoff daemon has gone within a move, and no other came: {failure.Message}", failure);
                }
            }

            await Task.Delay(s_pause, cancellation).ConfigureAwait(false);
        }
    }

    private static async Task<HandoffResult> AskAsync(
        string path, WorkerMessage question, SafeHandle connection, CancellationToken cancellation)
    {
        using var control = new Socket(AddressFamily.Unix, SocketType.Seqpacket, ProtocolType.Unspecified);
        await control.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation).ConfigureAwait(false);
        Send(control, question.ToBytes(), connection);
        byte[] buffer = new byte[WorkerMessage.MaximumLength];
        int length = await control.ReceiveAsync(buffer, cancellation).ConfigureAwait(false);
        var answer = WorkerMessage.Read(buffer.AsSpan(0, length));
        return new HandoffResult((RefusalReason)answer.Result, Encoding.UTF8.GetString(answer.Tag.Span));
    }

    private static void Send(Socket control, byte[] bytes, SafeHandle connection)
    {
        bool isHeld = false;
        try
        {
            connection.DangerousAddRef(ref isHeld);
            long sent = DescriptorPassing.Send((int)control.Handle, bytes, (int)connection.DangerousGetHandle());
            if (sent < 0)
            {
                throw new SocketException((int)SocketError.ConnectionReset);
            }
        }
        finally
        {
            if (isHeld)
            {
                connection.DangerousRelease();
            }
        }
    }
}
