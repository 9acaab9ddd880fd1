// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Threading;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Preload.Tests;

/// <summary>Two hosts and the compiled programs; tests use them one after the other.</summary>
public sealed class HostsFixture : IDisposable
{
    private readonly RunningProgram _peer;
    private int _port = 20_000;

    public HostsFixture()
    {
        LabCleanup.RemoveStale();
        Directory = System.IO.Directory.CreateTempSubdirectory("pronghorn-preload-tests-").FullName;
        Program = Path.Combine(Directory, "conformance");
        string[] sources = System.IO.Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Programs"), "*.c");
        LabCommand.Run(
            "gcc",
            [
                "-std=gnu17", "-D_GNU_SOURCE", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-stringop-overflow",
                "-Wno-stringop-overread", "-Wno-nonnull", "-pthread", "-o", Program, .. sources,
            ]);
        Hosts = TwoHosts.Create();

        // Narrow, so that the test of the range means something.
        Hosts.Server.Run("sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 41000");
        _peer = RunningProgram.Start(Hosts.Client, null, Program, "peer", TwoHosts.ClientAddress);
        _peer.WaitForOutput("ready");
    }

    /// <summary>A directory for the tests' files.</summary>
    public string Directory { get; }

    /// <summary>The conformance program.</summary>
    public string Program { get; }

    public TwoHosts Hosts { get; }

    /// <summary>Ports that no other test uses: this one and the following three.</summary>
    public int TakePorts() => Interlocked.Add(ref _port, 4);

    public void Dispose()
    {
        _peer.Dispose();
        Hosts.Dispose();
        System.IO.Directory.Delete(Directory, recursive: true);
    }
}

[CollectionDefinition(Name)]
#pragma warning disable CA1711 // xunit's word for it
public sealed class HostsCollection : ICollectionFixture<HostsFixture>
#pragma warning restore CA1711
{
    public const string Name = "two hosts";
}
