// SPDX-License-Identifier: Apache-2.0
using System;
using System.Linq;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Xunit;

namespace Pronghorn.Linux.Tests.Bpf;

/// <summary>What the running kernel has; the tests as a whole need all of it.</summary>
public sealed class BpfFeatureTests
{
    public static TheoryData<string> Names => [.. BpfFeature.All.Select(feature => feature.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void KernelOfTheTests_Probed_HasIt(string name) =>
        Assert.Equal(0, BpfFeature.All.Single(feature => feature.Name == name).Probe());

    [Fact]
    public void MissingFeature_Explained_NamesTheVersionAndTheOption()
    {
        string text = BpfFeature.SetReturnValue.Explain(-Errno.Invalid);
        Assert.StartsWith("bpf_set_retval needs Linux 5.18 with CONFIG_CGROUP_BPF; this is ", text, StringComparison.Ordinal);
        Assert.EndsWith("(errno 22)", text, StringComparison.Ordinal);
    }

    [Fact]
    public void All_Required_Passes() => BpfFeature.Require(BpfFeature.All);
}
