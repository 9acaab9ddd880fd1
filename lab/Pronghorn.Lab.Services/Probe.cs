// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Wire;

namespace Pronghorn.Lab.Services;

/// <summary>Sends one connection or datagram and finds out which of the servers gets it.</summary>
public static class Probe
{
    private const int Ipv4HeaderWords = 4;

    /// <summary>How long something that should arrive is waited for.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    /// <summary>Connects by TCP, or sends a datagram and waits for its answer.</summary>
    /// <param name="client">An unused socket, see <see cref="ServiceLab.Open"/>.</param>
    /// <param name="destination">Where to.</param>
    /// <param name="servers">All servers that it may reach.</param>
    /// <param name="silence">After what time without an answer it counts as dropped.</param>
    /// <exception cref="LabException">The client has an answer that none of the servers sent.</exception>
    public static Task<ProbeResult> SendAsync(
        Socket client, IPEndPoint destination, IReadOnlyList<Server> servers, TimeSpan silence)
    {
        ArgumentNullException.ThrowIfNull(client);
        ArgumentNullException.ThrowIfNull(destination);
        ArgumentNullException.ThrowIfNull(servers);
        return client.SocketType switch
        {
            SocketType.Stream => ConnectAsync(client, destination, servers, silence),
            SocketType.Dgram => Task.FromResult(SendDatagram(client, destination, servers, silence)),
            _ => Task.FromResult(SendSctp(client, destination, servers, silence)),
        };
    }

    private static async Task<ProbeResult> ConnectAsync(
        Socket client, IPEndPoint destination, IReadOnlyList<Server> servers, TimeSpan silence)
    {
        using var limit = new CancellationTokenSource(silence);
        try
        {
            await client.ConnectAsync(destination, limit.Token);
        }
        catch (OperationCanceledException)
        {
            return new ProbeResult(ProbeOutcome.Dropped);
        }
        catch (SocketException failure)
        {
            return FailureOf(failure);
        }

        Server reached = Wait(servers, IpProtocol.Tcp, s_patience)
            ?? throw new LabException($"a connection to {destination} was made, but none of the servers has it");
        using Socket accepted = reached.Socket.Accept();
        return new ProbeResult(ProbeOutcome.Answered, reached, (IPEndPoint)accepted.RemoteEndPoint!);
    }

    private static ProbeResult SendDatagram(Socket client, IPEndPoint destination, IReadOnlyList<Server> servers, TimeSpan silence)
    {
        byte[] buffer = new byte[16];
        try
        {
            client.SendTo(buffer, destination);
        }
        catch (SocketException failure)
        {
            return FailureOf(failure);
        }

        Server? reached = Wait(servers, IpProtocol.Udp, silence);
        if (reached is null)
        {
            return new ProbeResult(ProbeOutcome.Dropped);
        }

        EndPoint source = new IPEndPoint(destination.AddressFamily == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any, 0);
        EndPoint answered = source;
        reached.Socket.ReceiveFrom(buffer, ref source);
        reached.Socket.SendTo(buffer, source);
        client.ReceiveTimeout = (int)s_patience.TotalMilliseconds;
        client.ReceiveFrom(buffer, ref answered);
        return answered.Equals(destination)
            ? new ProbeResult(ProbeOutcome.Answered, reached, (IPEndPoint)source)
            : throw new LabException($"the answer to a datagram to {destination} came from {answered}");
    }

    /// <summary>The beginning of an SCTP association (RFC 9260 3.3.2), by hand: the kernel may have no SCTP.</summary>
    private static ProbeResult SendSctp(Socket client, IPEndPoint destination, IReadOnlyList<Server> servers, TimeSpan silence)
    {
        byte[] packet = new byte[32];
        ushort port = (ushort)Random.Shared.Next(20_000, 60_000);
        BinaryPrimitives.WriteUInt16BigEndian(packet, port);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)destination.Port);
        packet[12] = 1;
        packet[15] = 20;
        Random.Shared.NextBytes(packet.AsSpan(16, 4));
        client.SendTo(packet, new IPEndPoint(destination.Address, 0));
        byte[] received = new byte[128];
        EndPoint source = new IPEndPoint(IPAddress.Any, 0);

        // A raw socket has every SCTP packet to its address, earlier ones too; a source's port may change, its initiate tag does not.
        while (Wait(servers, IpProtocol.Sctp, silence) is { } reached)
        {
            int length = reached.Socket.ReceiveFrom(received, ref source);
            int header = (received[0] & 0xF) * Ipv4HeaderWords;
            ushort toPort = BinaryPrimitives.ReadUInt16BigEndian(received.AsSpan(header + 2));
            ushort fromPort = BinaryPrimitives.ReadUInt16BigEndian(received.AsSpan(header));
            var end = new IPEndPoint(reached.End.Address, toPort);
            Server? meant = servers.FirstOrDefault(server => server.Protocol == IpProtocol.Sctp && server.End.Equals(end));
            bool isSame = length >= header + packet.Length && received.AsSpan(header + 16, 4).SequenceEqual(packet.AsSpan(16, 4));
            if (isSame && meant is not null)
            {
                return new ProbeResult(ProbeOutcome.Answered, meant, new IPEndPoint(((IPEndPoint)source).Address, fromPort));
            }
        }

        return new ProbeResult(ProbeOutcome.Dropped);
    }

    private static Server? Wait(IReadOnlyList<Server> servers, IpProtocol protocol, TimeSpan limit)
    {
        List<Socket> readable = [.. from server in servers where server.Protocol == protocol select server.Socket];
        if (readable.Count == 0)
        {
            return null;
        }

        Socket.Select(readable, null, null, limit);
        return readable.Count == 0 ? null : servers.First(server => ReferenceEquals(server.Socket, readable[0]));
    }

    private static ProbeResult FailureOf(SocketException failure) => failure.SocketErrorCode switch
    {
        SocketError.ConnectionRefused => new ProbeResult(ProbeOutcome.Refused),
        SocketError.AccessDenied => new ProbeResult(ProbeOutcome.Dropped),
        _ => new ProbeResult(ProbeOutcome.Failed, Error: failure.SocketErrorCode),
    };
}
