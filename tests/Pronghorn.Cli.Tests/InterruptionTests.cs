// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Cli.Hosting;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Cli.Tests;

/// <summary>A signal reaches the whole process, so nothing that a signal interrupts runs beside these.</summary>
[Collection(SignalCollection.Name)]
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

[CollectionDefinition(Name, DisableParallelization = true)]
#pragma warning disable CA1711 // xunit's word for it
public sealed class SignalCollection
#pragma warning restore CA1711
{
    public const string Name = "signals";
}
