// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Security.Cryptography;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>The unit as it is installed, under a real systemd.</summary>
public sealed class SystemdServiceTests : IDisposable
{
    private const string Unit = "tcpm.service";
    private const string Program = "/usr/bin/pronghorn";
    private const string Configuration = "/etc/tcpm/tcpm.conf";
    private const string OurProgram = SystemdHost.Shared + "/artifacts/bin/pronghorn";
    private const string OurConfiguration = "/run/tcpm.conf";

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private readonly SystemdHost _host = new(LabCleanup.CreatePrefix() + "sd", DaemonWorld.Root);

    public SystemdServiceTests()
    {
        _host.Run("ip", "address", "add", "192.0.2.1/24", "dev", SystemdHost.Interface);
        _host.Write("key", Convert.ToHexString(RandomNumberGenerator.GetBytes(32)));
        _host.Run("chmod", "600", "/run/key");
        _host.Write("tcpm.conf", """
            local_ip = 192.0.2.1
            preshared_key = /run/key
            name = node-0
            """);
        string text = File.ReadAllText(Path.Combine(DaemonWorld.Root, "packaging", "systemd", Unit));
        Assert.Contains($"ExecStart={Program} handoff serve --config {Configuration}\n", text, StringComparison.Ordinal);
        _host.AddService(
            Unit,
            text.Replace(Program, OurProgram, StringComparison.Ordinal).Replace(Configuration, OurConfiguration, StringComparison.Ordinal),
            "WatchdogSec=2");
    }

    public void Dispose() => _host.Dispose();

    [Fact]
    public async Task Service_StartsInItsSandbox_IsStartedAgainWhenItHangs_AndStops()
    {
        _host.Start(Unit);
        Assert.Equal("connections move over " + SystemdHost.Interface, _host.Read(Unit, "StatusText"));
        string first = _host.Read(Unit, "MainPID");
        Assert.StartsWith($"process {first}, ", AskForStatus(), StringComparison.Ordinal);

        // CAP_NET_BIND_SERVICE and CAP_NET_ADMIN.
        string status = _host.Run("cat", $"/proc/{first}/status");
        Assert.Contains("CapEff:\t0000000000001400\n", status, StringComparison.Ordinal);
        Assert.Contains("Seccomp:\t2\n", status, StringComparison.Ordinal);

        _host.Run("kill", "-STOP", first);
        using var limit = new CancellationTokenSource(s_patience);
        string second;
        do
        {
            await Task.Delay(TimeSpan.FromMilliseconds(50), limit.Token);
            second = _host.Read(Unit, "MainPID");
        }
        while (second == first || second == "0" || _host.Read(Unit, "ActiveState") != "active");
        Assert.Equal("1", _host.Read(Unit, "NRestarts"));
        Assert.StartsWith($"process {second}, ", AskForStatus(), StringComparison.Ordinal);

        _host.Run("systemctl", "stop", Unit);
        Assert.Equal("inactive success", $"{_host.Read(Unit, "ActiveState")} {_host.Read(Unit, "Result")}");
    }

    private string AskForStatus() => _host.Run(OurProgram, "handoff", "status", "--config", OurConfiguration);
}
