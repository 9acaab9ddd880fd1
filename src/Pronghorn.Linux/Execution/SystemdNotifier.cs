// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace Pronghorn.Linux.Execution;

/// <summary>
/// Tells systemd how a daemon is doing (sd_notify(3), sd_watchdog_enabled(3)); does nothing where systemd does not ask. A service of
/// Type=notify counts as started once it says so, and one with WatchdogSec is ended and started again when it has hung for so long.
/// </summary>
public sealed class SystemdNotifier
{
    private const int LongestWait = 5000; // ms

    private readonly string? _address = Environment.GetEnvironmentVariable("NOTIFY_SOCKET");

    /// <summary>How long systemd waits for a sign of life; null where it waits for none of this process.</summary>
    public TimeSpan? Watchdog { get; } = ReadWatchdog();

    /// <summary>The service has started.</summary>
    /// <param name="status">What it does, as a line.</param>
    public void Ready(string status) => Send($"READY=1\nSTATUS={status}", isImportant: true);

    /// <summary>The service ends.</summary>
    public void Stopping() => Send("STOPPING=1", isImportant: true);

    /// <summary>The service is alive; to be said more often than every half of <see cref="Watchdog"/>, where that is not null.</summary>
    public void Alive()
    {
        if (Watchdog is not null)
        {
            Send("WATCHDOG=1", isImportant: false);
        }
    }

    /// <summary>Says at half the interval asked for that the service is alive, while it is; until cancelled.</summary>
    /// <param name="isAlive">Looks. One that does not come back is a sign too.</param>
    /// <param name="cancellation">Ends it, without an exception.</param>
    public async Task WatchAsync(Func<bool> isAlive, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(isAlive);
        if (Watchdog is not { } interval)
        {
            return;
        }

        using var timer = new PeriodicTimer(interval / 2);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellation).ConfigureAwait(false))
            {
                if (isAlive())
                {
                    Alive();
                }
            }
        }
        catch (OperationCanceledException)
        {
            // It is over.
        }
    }

    private static TimeSpan? ReadWatchdog()
    {
        string? process = Environment.GetEnvironmentVariable("WATCHDOG_PID");
        bool isMeant = string.IsNullOrEmpty(process)
            || (int.TryParse(process, NumberStyles.None, CultureInfo.InvariantCulture, out int id) && id == Environment.ProcessId);
        return isMeant
            && long.TryParse(
                Environment.GetEnvironmentVariable("WATCHDOG_USEC"), NumberStyles.None, CultureInfo.InvariantCulture, out long microseconds)
            && microseconds is >= 2000 and <= 1_000_000L * 3600 * 24
            ? TimeSpan.FromTicks(microseconds * TimeSpan.TicksPerMicrosecond)
            : null;
    }

    private void Send(string message, bool isImportant)
    {
        if (string.IsNullOrEmpty(_address))
        {
            return;
        }

        // '@' stands for the zero of an abstract address.
        string path = _address[0] == '@' ? '\0' + _address[1..] : _address;
        try
        {
            // A sign of life is followed by others and need not wait for a manager that is slow to read; what is said once has to.
            using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified)
            {
                Blocking = isImportant, SendTimeout = LongestWait,
            };
            socket.SendTo(Encoding.UTF8.GetBytes(message), new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException)
        {
            // Whoever asked is gone, or has not read what came before.
        }
    }
}
