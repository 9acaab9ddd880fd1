// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Cli.Hosting;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Cli.Tests;

public sealed class InterruptionTests
{
    [Fact]
    public void Signal_Received_CancelsAndGivesItsExitStatus()
    {
        using Interruption interruption = new();

        LabCommand.Run("sh", "-c", $"kill -HUP {Environment.ProcessId}");

        Assert.True(interruption.Token.WaitHandle.WaitOne(TimeSpan.FromSeconds(30)));
        Assert.Equal(129, Interruption.Status);
    }
}
