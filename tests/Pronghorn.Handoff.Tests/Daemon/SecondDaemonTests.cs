// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Threading.Tasks;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>A daemon is started where one of the same configuration runs.</summary>
public sealed class SecondDaemonTests : IDisposable
{
    private readonly DaemonWorld _world = new();

    [Fact]
    public async Task SecondDaemon_Ends_AndNamesTheFirst_WhichGoesOn()
    {
        Process first = _world.StartDaemon(0);
        string[] line = (await File.ReadAllTextAsync(string.Create(CultureInfo.InvariantCulture, $"/proc/{first.Id}/cmdline")))
            .TrimEnd('\0').Split('\0');

        LabOutput second = _world.NodeOf(0).TryRun(line[0], line[1..]);

        Assert.Equal(1, second.ExitCode);
        Assert.StartsWith(
            string.Create(CultureInfo.InvariantCulture, $"pronghorn: another daemon of this node runs already, process {first.Id} ("),
            second.Error, StringComparison.Ordinal);
        Assert.Equal(first.Id, (await _world.StatusOfAsync(0)).ProcessId);
    }

    /// <inheritdoc/>
    public void Dispose() => _world.Dispose();
}
