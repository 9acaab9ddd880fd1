// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>Tells systemd how the daemon is doing (sd_notify(3)); does nothing where systemd does not ask.</summary>
internal sealed class SystemdNotifier
{
    private readonly string? _address = Environment.GetEnvironmentVariable("NOTIFY_SOCKET");

    /// <summary>The service works.</summary>
    public void Ready(string status) => Send($"READY=1\nSTATUS={status}");

    /// <summary>The service ends.</summary>
    public void Stopping() => Send("STOPPING=1");

    /// <summary>Says at half the interval asked for that the service is alive, while it is.</summary>
    public async Task WatchAsync(Func<bool> isAlive, CancellationToken cancellation)
    {
        string? interval = Environment.GetEnvironmentVariable("WATCHDOG_USEC");
        if (!long.TryParse(interval, NumberStyles.None, CultureInfo.InvariantCulture, out long microseconds) || microseconds < 2)
        {
            return;
        }

        using var timer = new PeriodicTimer(TimeSpan.FromMicroseconds(microseconds / 2.0));
        while (await timer.WaitForNextTickAsync(cancellation))
        {
            if (isAlive())
            {
                Send("WATCHDOG=1");
            }
        }
    }

    private void Send(string message)
    {
        if (string.IsNullOrEmpty(_address))
        {
            return;
        }

        // '@' stands for the zero of an abstract address.
        string path = _address[0] == '@' ? '\0' + _address[1..] : _address;
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
            socket.SendTo(Encoding.UTF8.GetBytes(message), new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException)
        {
            // Whoever asked is gone.
        }
    }
}
