// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.CommandLine;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Threading.Tasks;
using Pronghorn.Cli.Services;
using Pronghorn.LoadBalancer.Daemon;
using Pronghorn.LoadBalancer.Explain;

namespace Pronghorn.Cli.Commands;

/// <summary><c>pronghorn lb explain</c>: what would happen to a flow, and why.</summary>
internal static class LoadBalancerExplainCommand
{
    internal static Command Create()
    {
        Argument<string[]> flow = new("flow")
        {
            Description = "As \"10.0.0.2 -> 172.30.0.41:80/tcp\"; in quotes, or without the arrow.",
            Arity = ArgumentArity.ZeroOrMore,
        };
        Option<string?> cases = new("--cases") { Description = "Evaluate the flows of this file and compare (one JSON case a line)." };
        Option<bool> live = new("--live")
        {
            Description = "With --cases: build each state in namespaces and send the packets. Needs root.",
        };
        Option<string?> manifests = new("--manifests") { Description = "Directory of Service and EndpointSlice manifests." };
        Option<string?> kubeconfig = new("--kubeconfig") { Description = "File that says how to reach the cluster's API server." };
        ExplainedNodeOptions node = new();
        Option<bool> json = new("--json") { Description = "Print one JSON document and nothing else." };
        Command command = new("explain", "Say what would happen to a flow, and why.")
        {
            flow, cases, live, manifests, kubeconfig, DaemonCommandOptions.Instance, json,
        };
        node.AddTo(command);
        command.SetAction(result =>
        {
            string[] words = result.GetValue(flow) ?? [];
            if (result.GetValue(cases) is { } file)
            {
                return words.Length == 0
                    ? Compare(file, result.GetValue(live), result.GetValue(json))
                    : throw Usage("--cases has its own flows; leave out the flow");
            }

            if (result.GetValue(live))
            {
                throw Usage("--live needs --cases FILE: the states to build and the flows to send");
            }

            Flow wanted = ReadFlow(words);
            if (result.GetValue(manifests) is null && result.GetValue(kubeconfig) is null)
            {
                return node.FindGiven(result) is { } given
                    ? throw Usage($"{given} is for --manifests or --kubeconfig: a running daemon explains for the node that it is on")
                    : LoadBalancerEnableCommand.Guard(() => Task.FromResult(
                        Show(AskDaemon(wanted, result.GetValue(DaemonCommandOptions.Instance)!), result.GetValue(json))));
            }

            ExplainedCluster cluster = (result.GetValue(manifests), result.GetValue(kubeconfig)) switch
            {
                ({ } directory, null) => ExplainedCluster.OfManifests(directory, node.Read(result)),
                (null, { } access) => ExplainedCluster.OfKubeconfig(access, node.Read(result)),
                _ => throw Usage("--manifests and --kubeconfig are two sources; give one"),
            };
            return Explain(wanted, cluster, result.GetValue(json));
        });
        return command;
    }

    private static CommandException Usage(string message) => new(message, ExitStatus.Usage);

    private static Flow ReadFlow(string[] words)
    {
        // Without quotes the shell writes to a file that is named like the destination, and what is left of the arrow is its dash.
        if (words.Length == 2 && words[1] == "-")
        {
            throw Usage($"the shell took \">\" for itself; write \"{words[0]} -> ADDRESS:PORT/tcp\" in quotes");
        }

        return Flow.TryParse(string.Join(' ', words), out Flow? flow, out string? mistake) ? flow : throw Usage(mistake);
    }

    private static int Explain(Flow flow, ExplainedCluster cluster, bool json)
    {
        return Show(cluster.Read(Terminal.Note).Explain(flow), json);
    }

    /// <summary>Without another source it is what the running daemon would do.</summary>
    private static FlowExplanation AskDaemon(Flow flow, string instance)
    {
        using var client = new ControlClient(new RuntimePaths(instance));
        string document = client.GetAsync("explain?flow=" + Uri.EscapeDataString(flow.ToString())).GetAwaiter().GetResult()
            ?? throw Usage(
                $"no daemon of the instance '{instance}' is running; --manifests DIRECTORY or --kubeconfig FILE says what services "
                + "there are (or --cases FILE)");
        return JsonSerializer.Deserialize(document, ControlJson.Default.FlowExplanation)!;
    }

    private static int Show(FlowExplanation explanation, bool json)
    {
        if (json)
        {
            Terminal.Result(JsonSerializer.Serialize(explanation, JsonFormat.Default.FlowExplanation));
            return ExitStatus.Done;
        }

        foreach (string line in ExplanationText.Format(explanation))
        {
            Terminal.Result(line);
        }

        return ExitStatus.Done;
    }

    private static int Compare(string file, bool isLive, bool json)
    {
        FlowCaseReport report;
        try
        {
            IReadOnlyList<FlowCase> cases = FlowCases.Read(file);
            report = isLive ? LiveComparison.Run(cases) : FlowCases.Compare(cases);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"{file}: {failure.Message}");
        }
        catch (FormatException mistake)
        {
            throw new CommandException(mistake.Message);
        }

        if (json)
        {
            Terminal.Result(JsonSerializer.Serialize(report, JsonFormat.Default.FlowCaseReport));
        }
        else
        {
            foreach (FlowDifference one in report.Differences)
            {
                Terminal.Result($"{one.Test}: {one.Flow}: {one.Packet}");
                Terminal.Result($"  expected {Outcome(one.Expected, one.ExpectedMasquerade)}");
                Terminal.Result($"  found    {Outcome(one.Actual, one.ActualMasquerade)}");
            }

            Terminal.Result($"{report.Flows} flows, {report.Agree} agree, {report.Differences.Count} differ");
        }

        return report.Differences.Count == 0 ? ExitStatus.Done : ExitStatus.Failed;
    }

    private static string Outcome(string output, bool? masquerades) =>
        (output.Length == 0 ? "no service" : output) + (masquerades == true ? ", source rewritten" : "");
}
