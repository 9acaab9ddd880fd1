// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;

namespace Pronghorn.Lab.Tests.Redis;

/// <summary>Two hosts and a directory, removed together.</summary>
public sealed class RedisLab : IDisposable
{
    private readonly List<IDisposable> _parts = [];

    /// <summary>The hosts.</summary>
    public TwoHosts Hosts { get; } = TwoHosts.Create();

    /// <summary>For the server's files.</summary>
    public string ServerDirectory { get; } = Directory.CreateTempSubdirectory("pronghorn-lab-").FullName;

    /// <summary>For the files of one that runs in the client's namespace.</summary>
    public string ClientDirectory { get; } = Directory.CreateTempSubdirectory("pronghorn-lab-").FullName;

    /// <summary>Starts redis on Pronghorn in the server's namespace.</summary>
    internal RedisServer StartServer(params IReadOnlyList<string> options) => StartServer(Side.Pronghorn, options);

    /// <summary>Starts redis in the server's namespace.</summary>
    internal RedisServer StartServer(Side side, params IReadOnlyList<string> options) =>
        Keep(RedisServer.Start(side, Hosts.Server, TwoHosts.ServerAddress, ServerDirectory, options));

    /// <summary>Starts redis in the client's namespace.</summary>
    internal RedisServer StartOther(Side side, params IReadOnlyList<string> options) =>
        Keep(RedisServer.Start(side, Hosts.Client, TwoHosts.ClientAddress, ClientDirectory, options));

    /// <summary>A client on the kernel's stack, to the server.</summary>
    internal RespConnection Connect() =>
        Keep(RespConnection.Connect(Hosts.Client, TwoHosts.ServerAddress, RedisServer.Port));

    /// <summary>A client on the server's host to the redis in the client's namespace.</summary>
    internal RespConnection ConnectToOther(bool fromServer = false) =>
        Keep(RespConnection.Connect(fromServer ? Hosts.Server : Hosts.Client, TwoHosts.ClientAddress, RedisServer.Port));

    /// <inheritdoc/>
    public void Dispose()
    {
        for (int i = _parts.Count - 1; i >= 0; i--)
        {
            _parts[i].Dispose();
        }

        Hosts.Dispose();
        Directory.Delete(ServerDirectory, recursive: true);
        Directory.Delete(ClientDirectory, recursive: true);
    }

    private T Keep<T>(T part)
        where T : IDisposable
    {
        _parts.Add(part);
        return part;
    }
}
