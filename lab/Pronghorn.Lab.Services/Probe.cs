// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Linq;
using System.Net;
using System.Net.Sockets;
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
    public static ProbeResult Send(
        Socket client, IPEndPoint destination, IReadOnlyList<Server> servers, TimeSpan silence)
    {
        ArgumentNullException.ThrowIfNull(client);
        ArgumentNullException.ThrowIfNull(destination);
        ArgumentNullException.ThrowIfNull(servers);
        return client.SocketType switch
        {
            SocketType.Stream => Connect(client, destination, servers, silence),
            SocketType.Dgram => SendDatagram(client, destination, servers, silence),
            _ => SendSctp(client, destination, servers, silence),
        };
    }

    private static ProbeResult Connect(Socket client, IPEndPoint destination, IReadOnlyList<Server> servers, TimeSpan silence)
    {
        RefuseLatecomers(servers);

        // By this thread alone: with an asynchronous call a busy thread pool can end the wait before it tells that the answer is here.
        client.Blocking = false;
        try
        {
            client.Connect(destination);
        }
        catch (SocketException failure) when (failure.SocketErrorCode is SocketError.WouldBlock or SocketError.InProgress)
        {
            if (!client.Poll(silence, SelectMode.SelectWrite))
            {
                return new ProbeResult(ProbeOutcome.Dropped);
            }

            var error = (SocketError)(int)client.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error)!;
            if (error != SocketError.Success)
            {
                return FailureOf(new SocketException((int)error));
            }
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

    /// <summary>A connection that was made after its probe had given it up must not be taken for the next one's.</summary>
    private static void RefuseLatecomers(IReadOnlyList<Server> servers)
    {
        while (Wait(servers, IpProtocol.Tcp, TimeSpan.Zero) is { } server)
        {
            server.Socket.Accept().Dispose();
        }
    }

    private static ProbeResult SendDatagram(Socket client, IPEndPoint destination, IReadOnlyList<Server> servers, TimeSpan silence)
    {
        byte[] buffer = new byte[16];
        while (Wait(servers, IpProtocol.Udp, TimeSpan.Zero) is { } late)
        {
            late.Socket.Receive(buffer);
        }

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
