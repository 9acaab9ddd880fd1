// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Pronghorn.Cli.Diagnosis;
using Xunit;

namespace Pronghorn.Cli.Tests;

public sealed class DiagnosisTests : IDisposable
{
    private const string OnlyRequired = "CapEff:\t000000c000003000\n"; // NET_ADMIN, NET_RAW, PERFMON, BPF

    private const string Attached =
        """[{"ifname":"e0","flags":["UP"],"mtu":1500,"link_type":"ether","xdp":{"mode":1,"prog":{"id":42,"name":"NAME"}}}]""";

    private readonly string _root = Directory.CreateTempSubdirectory("pronghorn-test").FullName;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public void GoodMachine_Checked_HasNothingToSay()
    {
        Describe();

        Assert.DoesNotContain(Findings().Values, finding => finding.Status == FindingStatus.Fail);
        Assert.Equal(FindingStatus.Ok, Findings()["rights"].Status);
    }

    [Theory]
    [InlineData("kernel", "proc/sys/kernel/osrelease", "4.19.0-generic")]
    [InlineData("rights", "proc/self/status", "CapEff:\t0000000000000000\n")]
    [InlineData("AF_XDP", "proc/net/protocols", "TCP 1\n")]
    public void OneThingMissing_Checked_FailsWithAdvice(string check, string path, string content)
    {
        Describe();
        Put(path, content);

        Finding finding = Findings()[check];

        Assert.Equal(FindingStatus.Fail, finding.Status);
        Assert.NotEmpty(finding.Advice);
    }

    [Fact]
    public void NoRightToLockAndLowLimit_Checked_FailsWithAdvice()
    {
        Describe();
        Put("proc/self/status", OnlyRequired);

        Assert.Equal(FindingStatus.Ok, Findings()["rights"].Status);
        Assert.Equal(FindingStatus.Fail, Findings()["locked memory"].Status);
    }

    [Fact]
    public void EmptyMachine_Checked_NeverThrows() => Assert.NotEmpty(Findings());

    [Fact]
    public void ForeignProgramAttached_Checked_FailsWithItsIdentity()
    {
        Finding finding = Interface(
            Attached.Replace("NAME", "other", StringComparison.Ordinal), "e0: XDP");

        Assert.Equal(FindingStatus.Fail, finding.Status);
        Assert.Contains("42", finding.Detail, StringComparison.Ordinal);
        Assert.Contains("other", finding.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void OwnProgramAttached_Checked_IsFineAndNamesItsProcess()
    {
        Finding finding = Interface(Attached.Replace("NAME", "pronghorn_steer", StringComparison.Ordinal), "e0: XDP");

        Assert.Equal(FindingStatus.Ok, finding.Status);
        Assert.Contains("holder-of-42 (pid 7)", finding.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void ProgramWithoutReadableName_Checked_IsNoFailure() => Assert.Equal(
        FindingStatus.Warn,
        Interface(Attached.Replace(",\"name\":\"NAME\"", "", StringComparison.Ordinal), "e0: XDP").Status);

    [Theory]
    [InlineData("1", null, "Ok")]
    [InlineData("0", null, "Warn")]
    [InlineData(null, null, "Warn")]
    [InlineData(null, true, "Ok")]
    [InlineData("1", false, "Warn")]
    public void Compiler_Checked_IsBelievedBeforeItsSetting(string? setting, bool? isCompiled, string expected)
    {
        Describe();
        File.Delete(Path.Combine(_root, "proc/sys/net/core/bpf_jit_enable"));
        if (setting is not null)
        {
            Put("proc/sys/net/core/bpf_jit_enable", setting);
        }

        Finding finding = KernelChecks.Run(new Machine(_root), () => isCompiled)
            .Single(finding => finding.Check == "BPF JIT");

        Assert.Equal(expected, finding.Status.ToString());
    }

    [Theory]
    [InlineData("8388608", "8388608", 8192, "Fail")]
    [InlineData("8388608", "8388608", 4096, "Ok")]
    [InlineData("8388608", "16777216", 8192, "Ok")]
    [InlineData("8388608", "unlimited", 8192, "Ok")]
    public void LockedMemory_Checked_IsComparedWithTheFramesOfAProgram(string soft, string hard, int frames, string expected)
    {
        Describe();
        Put("proc/self/status", OnlyRequired);
        Put("proc/self/limits", $"Max locked memory         {soft}              {hard}              bytes     \n");
        Machine machine = new(_root) { FrameCount = frames };

        Finding finding = KernelChecks.Run(machine, () => true).Single(finding => finding.Check == "locked memory");

        Assert.Equal(expected, finding.Status.ToString());
        Assert.Equal(expected == "Fail", finding.Advice.Contains("PRONGHORN_FRAMES=4096", StringComparison.Ordinal));
    }

    [Fact]
    public void JumboFrames_Checked_Fail() => Assert.Equal(
        FindingStatus.Fail,
        Interface("""[{"ifname":"e0","flags":["UP"],"mtu":9000,"link_type":"ether"}]""", "e0: MTU").Status);

    [Fact]
    public void PeerWithOffload_Checked_SaysThatItIsAccepted()
    {
        const string Veth =
            """[{"ifname":"v0","link":"v1","flags":["UP"],"mtu":1500,"link_type":"ether","linkinfo":{"info_kind":"veth"}}]""";

        Finding on = Interface(Veth, "v0: peer's checksums", "tx-checksumming: on\n");
        Finding off = Interface(Veth, "v0: peer's checksums", "tx-checksumming: off\n");

        Assert.Contains("accepted", on.Detail, StringComparison.Ordinal);
        Assert.Contains("finishes", off.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void OnlyLoopback_Checked_SaysThatThereIsNothing() => Assert.Equal(
        FindingStatus.Fail,
        Interface("""[{"ifname":"lo","flags":["UP"],"mtu":65536,"link_type":"loopback"}]""", "interfaces").Status);

    [Fact]
    public void ChannelListing_Read_TakesTheCurrentCounts() => Assert.Equal(
        4,
        InterfaceChecks.CurrentQueues(
            "Channel parameters for e0:\nPre-set maximums:\nRX:\t\t8\nCombined:\t8\n"
            + "Current hardware settings:\nRX:\t\t0\nTX:\t\t0\nCombined:\t4\n"));

    private static Finding Interface(string links, string check, string? ethtool = null) =>
        InterfaceChecks.Run(NetworkLink.Parse(links), _ => ethtool, id => $"holder-of-{id} (pid 7)")
            .Single(finding => finding.Check == check);

    private Dictionary<string, Finding> Findings() =>
        KernelChecks.Run(new Machine(_root), () => null).ToDictionary(finding => finding.Check);

    private void Describe()
    {
        Put("proc/sys/kernel/osrelease", "6.1.0-18-amd64\n");
        Put("proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\n");
        Put("proc/self/limits", "Max locked memory         8388608              8388608              bytes     \n");
        Put("proc/net/protocols", "protocol size\nXDP       1088      0\n");
        Put("proc/sys/net/core/bpf_jit_enable", "1\n");
        Put("proc/meminfo", "HugePages_Total:       0\n");
        Put("sys/kernel/btf/vmlinux", "");
    }

    private void Put(string path, string content)
    {
        string full = Path.Combine(_root, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, content);
    }
}
