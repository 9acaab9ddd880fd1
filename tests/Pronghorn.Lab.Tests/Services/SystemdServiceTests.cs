// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Lab.Tests.Services;

/// <summary>The balancer's unit as it is installed, under a real systemd.</summary>
public sealed class SystemdServiceTests : IDisposable
{
    private const string Unit = "pronghorn-lb.service";
    private const string Program = "/usr/bin/pronghorn";
    private const string Environment = "/etc/pronghorn/lb.env";
    private const string OurProgram = SystemdHost.Shared + "/artifacts/bin/pronghorn";

    private static readonly string s_root = Path.GetFullPath(Path.Combine(Product.LibraryDirectory, "..", ".."));

    private readonly SystemdHost _host = new(LabCleanup.CreatePrefix() + "sd", s_root);

    public void Dispose() => _host.Dispose();

    [Fact]
    public void Service_Starts_ReadsItsOptions_AndStops()
    {
        _host.Run("ip", "address", "add", "192.0.2.1/24", "dev", SystemdHost.Interface);
        _host.Write("lb.env", $"PRONGHORN_LB_OPTIONS=\"--manifests /run/manifests --interface {SystemdHost.Interface}\"\n");
        _host.Write("manifests/service.yaml", """
            apiVersion: v1
            kind: Service
            metadata: { name: web, namespace: default }
            spec:
              clusterIP: 198.51.100.1
              ports: [ { port: 80 } ]
            """);
        string text = File.ReadAllText(Path.Combine(s_root, "packaging", "systemd", Unit));
        Assert.Contains($"ExecStart={Program} lb enable --foreground $PRONGHORN_LB_OPTIONS\n", text, StringComparison.Ordinal);
        Assert.Contains($"EnvironmentFile=-{Environment}\n", text, StringComparison.Ordinal);
        _host.AddService(
            Unit,
            text.Replace(Program, OurProgram, StringComparison.Ordinal).Replace(Environment, "/run/lb.env", StringComparison.Ordinal));

        _host.Start(Unit);

        Assert.Equal("serving 1 services", _host.Read(Unit, "StatusText"));
        Assert.Contains("198.51.100.1", _host.Run(OurProgram, "lb", "list"), StringComparison.Ordinal);
        _host.Run("systemctl", "stop", Unit);
        Assert.Equal("inactive success", $"{_host.Read(Unit, "ActiveState")} {_host.Read(Unit, "Result")}");

        // Services go on being served: their programs stay until they are taken away.
        Assert.True(Exists());
        _host.Run(OurProgram, "lb", "disable");
        Assert.False(Exists());
    }

    private bool Exists() => _host.TryRun("test", "-e", "/sys/fs/bpf/pronghorn/lb/default/links").ExitCode == 0;
}
