// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Daemon;
using Pronghorn.Lab.Cdn.Servers;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Lab.Cdn.Network;

/// <summary>An edge server of a <see cref="CdnLab"/>.</summary>
public sealed class CdnEdge
{
    private const int FirstAddress = 10;
    private const int AnswerMilliseconds = 2000;
    private const int Attempts = 5;

    internal CdnEdge(int number, NetworkNamespace place, ControlGroup group, string folder)
    {
        Number = number;
        Place = place;
        Group = group;
        Folder = folder;
    }

    /// <summary>Its number, from 1.</summary>
    public int Number { get; }

    /// <summary>Its name, as in pop_struct.conf and in its certificate.</summary>
    public string Name => string.Create(CultureInfo.InvariantCulture, $"edge-{Number}");

    /// <summary>Its address.</summary>
    public string Address => string.Create(CultureInfo.InvariantCulture, $"10.2.0.{FirstAddress + Number}");

    /// <summary>Its namespace.</summary>
    public NetworkNamespace Place { get; }

    /// <summary>The control group of everything that runs on it.</summary>
    public ControlGroup Group { get; }

    /// <summary>Folder of its files.</summary>
    public string Folder { get; }

    /// <summary>Its pop_struct.conf.</summary>
    public string PopStructure => Path.Combine(Folder, "pop_struct.conf");

    /// <summary>Its tcpm.conf.</summary>
    public string HandoffConfiguration => Path.Combine(Folder, "tcpm.conf");

    /// <summary>Unix sockets of its handoff daemon.</summary>
    public string SocketDirectory => Path.Combine(Folder, "tcpm");

    /// <summary>Its handoff daemon, started last; null where another process started it.</summary>
    public Process? Daemon { get; internal set; }

    /// <summary>CPU time of everything that runs on it, seconds.</summary>
    public double ReadProcessorSeconds()
    {
        const string Name = "usage_usec ";
        string line = File.ReadLines(Path.Combine(Group.Path, "cpu.stat"))
            .First(static one => one.StartsWith(Name, StringComparison.Ordinal));
        return long.Parse(line.AsSpan(Name.Length), CultureInfo.InvariantCulture) / 1e6;
    }

    /// <summary>Asks its handoff daemon, a few times where a busy machine breaks an answer off.</summary>
    /// <exception cref="IOException">It does not answer.</exception>
    public async Task<HandoffStatus> AskDaemonAsync(CancellationToken cancellation)
    {
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                return await HandoffStatus.AskAsync(SocketDirectory, cancellation);
            }
            catch (IOException) when (attempt < Attempts)
            {
                await Task.Delay(AnswerMilliseconds / 100, cancellation);
            }
        }
    }

    /// <summary>Asks a server for its status, from the namespace of this thread.</summary>
    internal static LasStatus AskServer(TcpEnd end)
    {
        try
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)
            {
                ReceiveTimeout = AnswerMilliseconds,
            };
            socket.Connect(IPAddress.Parse(end.Address.ToString()), end.Port);
            socket.Send(Encoding.ASCII.GetBytes("GET /status HTTP/1.1\r\nHost: cdn\r\nConnection: close\r\n\r\n"));
            using var reader = new StreamReader(new NetworkStream(socket));
            string answer = reader.ReadToEnd();
            string body = answer[(answer.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];
            return JsonSerializer.Deserialize(body, CdnJson.Default.LasStatus) ?? throw new IOException($"{end} says nothing");
        }
        catch (Exception failure) when (failure is SocketException or JsonException)
        {
            throw new IOException($"{end} does not answer: {failure.Message}", failure);
        }
    }
}
