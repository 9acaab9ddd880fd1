// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Lab.Cdn.Content;

namespace Pronghorn.Lab.Cdn.Servers;

/// <summary>
/// A sample server of content over HTTP/1.1: files and paced streams. A request for what another node has is relayed, or its connection
/// is given to that node.
/// </summary>
public sealed class LasServer : IDisposable
{
    private const int SocketLevel = 1;
    private const int OptionReusePort = 15; // SO_REUSEPORT
    private const int TcpLevel = 6;
    private const int OptionCongestion = 13; // TCP_CONGESTION
    private const string AvailableFile = "/proc/sys/net/ipv4/tcp_available_congestion_control";
    private const int Backlog = 1024;

    private readonly List<LasWorker> _workers = [];
    private readonly ContentCache _cache;

    /// <summary>Listens; <see cref="RunAsync"/> serves.</summary>
    /// <param name="options">How it works.</param>
    /// <param name="say">Is told when a worker lacks the handoff daemon, and when it is there again; any worker's thread calls it.</param>
    /// <exception cref="IOException">The address or port is not to be had.</exception>
    public LasServer(LasOptions options, Action<string>? say = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        _cache = new ContentCache(options.Origin);
        var counts = new LasCounts();
        for (int index = 0; index < options.Workers; index++)
        {
            _workers.Add(new LasWorker(options, index, Listen(options), _cache, counts, say ?? (static _ => { })));
        }
    }

    /// <summary>Serves until cancelled, with a thread for each worker.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        TaskCompletionSource[] ended = [.. _workers.Select(static _ => new TaskCompletionSource())];
        for (int i = 0; i < _workers.Count; i++)
        {
            LasWorker worker = _workers[i];
            TaskCompletionSource end = ended[i];
            var thread = new Thread(() =>
            {
                try
                {
                    worker.Run(cancellation);
                    end.SetResult();
                }
#pragma warning disable CA1031 // It is thrown again where RunAsync is awaited.
                catch (Exception failure)
#pragma warning restore CA1031
                {
                    end.SetException(failure);
                }
            })
            {
                IsBackground = true,
                Name = FormattableString.Invariant($"las-{i}"),
            };
            thread.Start();
        }

        await Task.WhenAll(ended.Select(static end => end.Task)).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _workers.ForEach(static worker => worker.Dispose());
        _cache.Dispose();
    }

    private static Socket Listen(LasOptions options)
    {
        var address = IPAddress.Parse(options.Listen.Address.ToString());
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // A listener for each worker: the kernel spreads connections over them.
            socket.SetRawSocketOption(SocketLevel, OptionReusePort, BitConverter.GetBytes(1));
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            SetCongestionControl(socket, options.CongestionControl);
            socket.Bind(new IPEndPoint(address, options.Listen.Port));
            socket.Listen(Backlog);
            socket.Blocking = false;
            return socket;
        }
        catch (SocketException failure)
        {
            socket.Dispose();
            throw new IOException($"the server cannot listen at {options.Listen}: {failure.Message}", failure);
        }
    }

    /// <summary>What is accepted has its listener's.</summary>
    private static void SetCongestionControl(Socket socket, string? name)
    {
        if (name is null)
        {
            return;
        }

        try
        {
            socket.SetRawSocketOption(TcpLevel, OptionCongestion, Encoding.ASCII.GetBytes(name));
        }
        catch (SocketException failure) when (failure.SocketErrorCode == SocketError.AddressNotAvailable)
        {
            // .NET's name of ENOENT. Others, as of one that only root may choose, say what they are where this is called.
            string available = File.ReadAllText(AvailableFile).TrimEnd().Replace(" ", ", ", StringComparison.Ordinal);
            throw new IOException($"there is no congestion control \"{name}\" here, but {available}", failure);
        }
    }
}
