// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Net.Sockets;
using Pronghorn.Linux.Files;

namespace Pronghorn.Handoff.Workers;

/// <summary>
/// The Unix socket of one worker of one kind. Who may connect says its mode (unix(7)); how often, this: what one worker's socket is
/// asked takes nothing from another's, and one process not all of a worker's.
/// </summary>
internal sealed class WorkerSocket : IDisposable
{
    /// <summary>Most sessions of one socket: one that works, one that replaces it, and some that look.</summary>
    internal const int MostSessions = 8;

    /// <summary>Most sessions that one process has of one socket.</summary>
    internal const int MostOfProcess = 4;

    private const UnixFileMode Mode =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite;

    private const int Elsewhere = -1;

    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Seqpacket, ProtocolType.Unspecified);
    private readonly string _path;
    private readonly MoveQuota _quota;
    private readonly int[] _processes = new int[MostSessions];

    /// <summary>Makes it and listens; what was there of an earlier daemon is replaced.</summary>
    /// <param name="path">Where.</param>
    /// <param name="movesPerSecond">Most moves that its worker may ask for in a second; 0: any number.</param>
    /// <exception cref="IOException">It cannot be made.</exception>
    internal WorkerSocket(string path, int movesPerSecond)
    {
        _path = path;
        _quota = new MoveQuota(movesPerSecond);
        File.Delete(path);
        try
        {
            _socket.Bind(new UnixDomainSocketEndPoint(path));
            File.SetUnixFileMode(path, Mode);
            _socket.Listen();
        }
        catch (Exception failure) when (failure is SocketException or ArgumentException)
        {
            _socket.Dispose();
            throw new IOException($"{path}: {failure.Message}", failure);
        }
    }

    /// <summary>To wait for who connects.</summary>
    internal int Descriptor => (int)_socket.Handle;

    /// <summary>Takes who waits.</summary>
    /// <param name="session">Its session; null when it has gone again, or is one too many.</param>
    /// <returns>False when it was one too many, and was closed.</returns>
    internal bool TryAccept(out WorkerSession? session)
    {
        session = null;
        Socket accepted;
        try
        {
            accepted = _socket.Accept();
        }
        catch (SocketException)
        {
            return true;
        }

        // A process of another PID namespace has the number 0 here: all of those count as one.
        int process = DescriptorPassing.GetPeer((int)accepted.Handle, out PeerCredentials peer) < 0 || peer.ProcessId == 0
            ? Elsewhere : peer.ProcessId;
        int seat = Array.IndexOf(_processes, 0);
        if (seat < 0 || _processes.AsSpan().Count(process) >= MostOfProcess)
        {
            accepted.Dispose();
            return false;
        }

        _processes[seat] = process;
        session = new WorkerSession(accepted, _quota, () => _processes[seat] = 0);
        return true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _socket.Dispose();
        File.Delete(_path);
    }
}
