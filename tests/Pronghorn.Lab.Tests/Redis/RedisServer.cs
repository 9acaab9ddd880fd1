// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using Pronghorn.Runtime.Statistics;

namespace Pronghorn.Lab.Tests.Redis;

/// <summary>Debian's redis-server, unmodified, in a namespace, with a directory of its own that outlives the server.</summary>
internal sealed class RedisServer : IDisposable
{
    /// <summary>Its port.</summary>
    public const int Port = 6379;

    private readonly LabProgram _program;

    private RedisServer(LabProgram program) => _program = program;

    /// <summary>Process id.</summary>
    public int Id => _program.Id;

    /// <summary>Whether it has ended.</summary>
    public bool HasEnded => _program.HasEnded;

    /// <summary>Its log.</summary>
    public string Log => _program.Said;

    /// <summary>Descriptors that the process has open.</summary>
    public int OpenDescriptors =>
        Directory.GetFiles(string.Create(CultureInfo.InvariantCulture, $"/proc/{Id}/fd")).Length;

    /// <summary>Starts one and waits until it takes connections. It writes no snapshots unless told.</summary>
    public static RedisServer Start(
        Side side, NetworkNamespace place, string address, string directory, params IReadOnlyList<string> options)
    {
        List<string> arguments =
        [
            "--bind", address, "--port", Port.ToString(CultureInfo.InvariantCulture), "--protected-mode", "no",
            "--save", "", "--dir", directory, "--daemonize", "no", "--enable-debug-command", "yes", .. options,
        ];
        return new RedisServer(LabProgram.Start(
            place, "redis-server", arguments, Product.Options(side, directory), "Ready to accept connections"));
    }

    /// <summary>kill -9.</summary>
    public void Kill() => _program.Kill();

    /// <summary>Waits until it ended by itself.</summary>
    public void WaitForEnd() => _program.WaitForEnd();

    /// <inheritdoc/>
    public void Dispose() => _program.Dispose();

    /// <summary>A counter of its statistics page, after all that happened before the call. Others must make the server run.</summary>
    public long ReadCounter(string name, RespConnection anyClient)
    {
        string path = Path.Combine(StatisticsPage.Directory, Id.ToString(CultureInfo.InvariantCulture));
        if (StatisticsReader.Open(path, out StatisticsReader? reader) != 0 || reader is null)
        {
            throw new LabException($"{path} is missing");
        }

        using (reader)
        {
            uint request = reader.Request();
            do
            {
                anyClient.Call("PING");
            }
            while (!reader.IsAnswered(request));
            reader.TryRead(out _, out StatisticsCounter[] counters, out _);
            return counters.First(counter => StatisticsReader.NameOf(counter) == name).Value;
        }
    }

    /// <summary>A field of INFO.</summary>
    public static string Info(RespConnection client, string field) =>
        client.Text("INFO", "everything").Split('\n').Select(line => line.Trim())
            .FirstOrDefault(line => line.StartsWith(field + ":", StringComparison.Ordinal))?[(field.Length + 1)..] ?? "";

    /// <summary>Asks again and again until a field of INFO satisfies. The server says when; there is no event for it.</summary>
    public static void WaitForInfo(RespConnection client, string field, Predicate<string> satisfied)
    {
        DateTime end = DateTime.UtcNow.AddSeconds(120);
        for (string value = Info(client, field); !satisfied(value); value = Info(client, field))
        {
            if (DateTime.UtcNow > end)
            {
                throw new TimeoutException($"{field} stays at '{value}'.");
            }

            // The server's own timer paces the questions; a replica, which takes no such command, answers at once.
            client.Call("BLPOP", "no-such-key", "0.02");
        }
    }
}
