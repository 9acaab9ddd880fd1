// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Packaging;

public sealed class SpeDaemonTests
{
    private static readonly string s_script = Path.Combine(AppContext.BaseDirectory, "Packaging", "spe-daemon");

    [Theory]
    [InlineData("-enable", "lb enable --manifests /etc/services\n")]
    [InlineData("-disable", "lb disable --manifests /etc/services\n")]
    [InlineData("-status", "lb status --manifests /etc/services\n")]
    public void Command_WithASingleDash_IsThatOfPronghorn(string command, string expected) =>
        Assert.Equal(expected, LabCommand.Run("env", "PRONGHORN=echo", "sh", s_script, command, "--manifests", "/etc/services"));

    [Theory]
    [InlineData("enable")]
    [InlineData("-unknown")]
    public void AnythingElse_IsWrongUsage(string command) =>
        Assert.Equal(2, LabCommand.TryRun("env", "PRONGHORN=echo", "sh", s_script, command).ExitCode);
}
