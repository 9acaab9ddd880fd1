// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.Linq;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.Linux.Bpf;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>Reads the host's addresses and follows them.</summary>
public sealed class HostAddresses : IDisposable
{
    // Documentation addresses (RFC 5737, RFC 3849): nothing is sent, only the route is asked for.
    private static readonly IPEndPoint s_worldIpv4 = new(System.Net.IPAddress.Parse("192.0.2.1"), 9);
    private static readonly IPEndPoint s_worldIpv6 = new(System.Net.IPAddress.Parse("2001:db8::1"), 9);

    private readonly Channel<bool> _changed = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    private readonly CancellationTokenSource _ended = new();
    private readonly Task _following;

    /// <summary>Begins to listen for changes. (NetworkChange of the runtime hears of IPv4 addresses only.)</summary>
    /// <exception cref="BpfException">The kernel does not tell.</exception>
    public HostAddresses()
    {
        _changed.Writer.TryWrite(true);
        _following = LinkFollower.RunAsync(null, () => _changed.Writer.TryWrite(true), _ended.Token);
    }

    /// <summary>The addresses now.</summary>
    public static HostChanged Read()
    {
        var addresses = new List<IpAddress>();
        foreach (NetworkInterface one in NetworkInterface.GetAllNetworkInterfaces())
        {
            foreach (UnicastIPAddressInformation information in one.GetIPProperties().UnicastAddresses)
            {
                if (!information.Address.IsIPv6LinkLocal)
                {
                    addresses.Add(Convert(information.Address));
                }
            }
        }

        IpAddress[] world = [.. addresses.Where(address => !address.IsLoopback)];
        IEnumerable<IpAddress> primary =
            from route in new[] { SourceFor(s_worldIpv4), SourceFor(s_worldIpv6) }.Concat(world.Select(address => (IpAddress?)address))
            where route is { IsLoopback: false }
            select route.Value;
        return new HostChanged(
            [.. addresses.Distinct().OrderBy(address => address.High).ThenBy(address => address.Low)],
            [.. primary.DistinctBy(address => address.IsIpv4).OrderByDescending(address => address.IsIpv4)]);
    }

    /// <summary>Tells the addresses now and after each change, until the channel is closed.</summary>
    public async Task RunAsync(ChannelWriter<ClusterChange> changes)
    {
        ArgumentNullException.ThrowIfNull(changes);
        try
        {
            await foreach (bool _ in _changed.Reader.ReadAllAsync())
            {
                await changes.WriteAsync(Read());
            }
        }
        catch (ChannelClosedException)
        {
            // Nobody listens any more.
        }
    }

    /// <summary>Stops listening.</summary>
    public void Dispose()
    {
        if (!_ended.IsCancellationRequested)
        {
            _ended.Cancel();
            _following.Wait();
            _ended.Dispose();
            _changed.Writer.TryComplete();
        }
    }

    private static IpAddress? SourceFor(IPEndPoint destination)
    {
        try
        {
            using var socket = new Socket(destination.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            socket.Connect(destination);
            return Convert(((IPEndPoint)socket.LocalEndPoint!).Address);
        }
        catch (SocketException)
        {
            // No route there, or no such family.
            return null;
        }
    }

    private static IpAddress Convert(System.Net.IPAddress address)
    {
        byte[] bytes = address.GetAddressBytes();
        return bytes.Length == IpAddress.Ipv4Length ? IpAddress.ReadIpv4(bytes) : IpAddress.ReadIpv6(bytes);
    }}
