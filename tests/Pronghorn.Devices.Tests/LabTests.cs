// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Devices.Tests;

/// <summary>That nothing is left of a lab, however its maker ends.</summary>
[Collection("lab")]
public sealed class LabTests
{
    [Theory]
    [InlineData("ph123n1-server", 123)]
    [InlineData("ph9n40-client", 9)]
    [InlineData("phn1-server", 0)]
    [InlineData("phoenix", 0)]
    [InlineData("ph12", 0)]
    [InlineData("xph12n1", 0)]
    [InlineData("", 0)]
    public void NamespaceName_Read_TellsItsMaker(string name, int maker)
    {
        Assert.Equal(maker != 0, LabCleanup.TryGetMaker(name, out int found));
        Assert.Equal(maker, found);
    }

    [Fact]
    public void TwoHosts_Created_ReachEachOtherAndVanishWhenDisposed()
    {
        string name;
        using (TwoHosts hosts = TwoHosts.Create(new TwoHostsOptions { ControlLink = true, Mtu = 1400 }))
        {
            name = hosts.Server.Name;
            Assert.Contains("mtu 1400", hosts.Client.Run("ip", "link", "show", TwoHosts.Interface), StringComparison.Ordinal);
            foreach (string address in (string[])[TwoHosts.ServerAddress, TwoHosts.ServerControlAddress])
            {
                string route = hosts.Client.Run("ip", "route", "get", address);
                Assert.DoesNotContain("via", route, StringComparison.Ordinal);
            }

            using Process process = hosts.Server.Start(
                "sh", ["-c", "echo $PPID $LAB; exec sleep 1000"],
                new LabProcessOptions { Processor = 0, Environment = new Dictionary<string, string?> { ["LAB"] = "yes" } });
            Assert.EndsWith(" yes", process.StandardOutput.ReadLine(), StringComparison.Ordinal);
            Assert.Contains(process.Id, hosts.Server.GetProcessIds());
        }

        Assert.DoesNotContain(name, Namespaces(), StringComparison.Ordinal);
    }

    [Fact]
    public void CommandFails_Run_SaysWhatAndWhy()
    {
        LabException exception = Assert.Throws<LabException>(() => LabCommand.Run("ip", "link", "show", "nosuch0"));
        Assert.Contains("ip link show nosuch0", exception.Message, StringComparison.Ordinal);
        Assert.Contains("does not exist", exception.Message, StringComparison.Ordinal);
        Assert.Throws<LabException>(() => LabCommand.Run("no-such-program"));
    }

    [Theory]
    [InlineData("TERM")]
    [InlineData("INT")]
    public void Maker_Terminated_RemovesItsNamespaces(string signal)
    {
        using Process maker = StartMaker();
        string prefix = Prefix(maker);
        Assert.Contains(prefix, Namespaces(), StringComparison.Ordinal);
        LabCommand.Run("kill", "-" + signal, maker.Id.ToString(CultureInfo.InvariantCulture));
        maker.WaitForExit();
        Assert.DoesNotContain(prefix, Namespaces(), StringComparison.Ordinal);
    }

    [Fact]
    public void Maker_Killed_LeavesNamespacesThatTheNextRemoves()
    {
        using Process maker = StartMaker();
        string prefix = Prefix(maker);
        maker.Kill();
        maker.WaitForExit();
        Assert.Contains(prefix, Namespaces(), StringComparison.Ordinal);
        LabCleanup.RemoveStale();
        Assert.DoesNotContain(prefix, Namespaces(), StringComparison.Ordinal);
    }

    private static string Namespaces() => LabCommand.Run("ip", "netns", "list");

    private static string Prefix(Process maker) =>
        string.Create(CultureInfo.InvariantCulture, $"ph{maker.Id}n");

    private static Process StartMaker()
    {
        string[] words = [.. Holder.ProgramCommand, "lab"];
        var start = new ProcessStartInfo(words[0], words.Skip(1))
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        Process process = Process.Start(start)!;
        Assert.Equal("ready", process.StandardOutput.ReadLine());
        return process;
    }
}
