// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace Pronghorn.Handoff.Daemon;

/// <summary>Tells everybody who may connect to its Unix socket how the daemon is.</summary>
internal sealed class StatusServer : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly string _path;
    private readonly Func<HandoffStatus> _status;

    internal StatusServer(string folder, Func<HandoffStatus> status)
    {
        _path = PathOf(folder);
        _status = status;
        File.Delete(_path);
        _listener.Bind(new UnixDomainSocketEndPoint(_path));
        File.SetUnixFileMode(_path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite);
        _listener.Listen();
    }

    internal static string PathOf(string folder) => Path.Combine(folder, "status.sock");

    /// <summary>Answers until cancelled.</summary>
    internal async Task RunAsync(CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                using Socket socket = await _listener.AcceptAsync(cancellation);
                byte[] status = Encoding.UTF8.GetBytes(_status().ToJson());
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
                limit.CancelAfter(TimeSpan.FromSeconds(1));
                await using var stream = new NetworkStream(socket);
                await stream.WriteAsync(status, limit.Token);
            }
            catch (Exception failure) when (failure is SocketException or IOException or OperationCanceledException)
            {
                // Whoever asked has gone, or does not read.
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _listener.Dispose();
        File.Delete(_path);
    }
}
