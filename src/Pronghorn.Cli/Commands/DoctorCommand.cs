// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Globalization;
using System.Linq;
using System.Text.Json;
using System.Threading;
using Pronghorn.Cli.Diagnosis;
using Pronghorn.Cli.Hosting;
using Pronghorn.Devices;
using Pronghorn.Linux.Bpf;

namespace Pronghorn.Cli.Commands;

/// <summary><c>pronghorn doctor</c>: what this machine lacks, and how to get it.</summary>
internal static class DoctorCommand
{
    private static readonly TimeSpan s_toolLimit = TimeSpan.FromSeconds(10);

    internal static Command Create()
    {
        Option<bool> json = new("--json") { Description = "Print one JSON document and nothing else." };
        Command command = new("doctor", "Look for what this machine lacks, and say how to get it.") { json };
        command.SetAction(result => Run(result.GetValue(json)));
        return command;
    }

    private static int Run(bool json)
    {
        List<Finding> findings = [.. KernelChecks.Run(ThisMachine(), IsCompiled), .. InstallationChecks.Run(), .. Interfaces()];
        FindingStatus worst = findings.Max(finding => finding.Status);
        if (json)
        {
            DiagnosisReport report = new(worst, [.. findings]);
            Terminal.Result(JsonSerializer.Serialize(report, JsonFormat.Default.DiagnosisReport));
        }
        else
        {
            foreach (Finding finding in findings)
            {
                Print(finding);
            }
        }

        return worst == FindingStatus.Fail ? ExitStatus.Failed : ExitStatus.Done;
    }

    private static IReadOnlyList<Finding> Interfaces()
    {
        string? list = Tool("ip", ["-d", "-j", "link"]);
        return list is null
            ? [Finding.Fail("interfaces", "'ip -d -j link' does not run", "apt-get install iproute2")]
            : [.. InterfaceChecks.Run(NetworkLink.Parse(list), arguments => Tool("ethtool", arguments), XdpOwners.Find)];
    }

    private static Machine ThisMachine()
    {
        string? frames = Environment.GetEnvironmentVariable(XdpDeviceOptions.FrameCountVariable);
        return int.TryParse(frames, NumberStyles.None, CultureInfo.InvariantCulture, out int count)
            ? new Machine { FrameCount = count }
            : new Machine();
    }

    private static bool? IsCompiled() => BpfCompiler.Probe(out bool isCompiled) < 0 ? null : isCompiled;

    private static string? Tool(string program, string[] arguments)
    {
        try
        {
            return ChildProcess.Run([program, .. arguments], s_toolLimit, CancellationToken.None);
        }
        catch (CommandException)
        {
            return null;
        }
    }

    private static void Print(Finding finding)
    {
        string mark = finding.Status switch
        {
            FindingStatus.Ok => "OK  ",
            FindingStatus.Warn => "WARN",
            _ => "FAIL",
        };
        Terminal.Result($"{mark}  {finding.Check}: {finding.Detail}");
        if (finding.Advice.Length > 0)
        {
            Terminal.Result($"      -> {finding.Advice}");
        }
    }
}
