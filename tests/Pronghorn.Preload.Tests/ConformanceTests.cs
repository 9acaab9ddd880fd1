// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Pronghorn.Lab;
using Xunit;

namespace Pronghorn.Preload.Tests;

/// <summary>The same program with the same expectations on the kernel's stack and on Pronghorn's.</summary>
[Collection(HostsCollection.Name)]
public sealed partial class ConformanceTests(HostsFixture fixture)
{
    /// <summary>Every CASE(name) of the C sources.</summary>
    public static TheoryData<string> Cases
    {
        get
        {
            string directory = Path.Combine(AppContext.BaseDirectory, "Programs");
            return
            [
                .. Directory.GetFiles(directory, "*.c").Order(StringComparer.Ordinal)
                    .SelectMany(file => CasePattern().Matches(File.ReadAllText(file)))
                    .Select(match => match.Groups[1].Value),
            ];
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void KernelsStack_Case_BehavesAsExpected(string name) => Run(name, onStack: false);

    [Theory]
    [MemberData(nameof(Cases))]
    public void OurStack_Case_BehavesAsExpected(string name) => Run(name, onStack: true);

    [GeneratedRegex(@"^CASE\((\w+)\)", RegexOptions.Multiline)]
    private static partial Regex CasePattern();

    private void Run(string name, bool onStack)
    {
        string port = fixture.TakePorts().ToString(CultureInfo.InvariantCulture);
        LabOutput output = RunningProgram.Run(
            fixture.Hosts.Server, onStack ? PreloadLibrary.Environment() : null, fixture.Program, "run", name,
            TwoHosts.ServerAddress, TwoHosts.ClientAddress, port, onStack ? "stack" : "kernel");
        Assert.True(output.ExitCode == 0, $"ended with {output.ExitCode}: {output.Output}{output.Error}");
        Assert.Equal("ok", output.Output.Trim());
    }
}
