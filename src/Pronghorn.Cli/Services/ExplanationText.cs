// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Linq;
using Pronghorn.LoadBalancer.Explain;

namespace Pronghorn.Cli.Services;

/// <summary>An explanation as lines for a terminal.</summary>
internal static class ExplanationText
{
    internal static IEnumerable<string> Format(FlowExplanation explanation)
    {
        yield return explanation.Flow;
        yield return $"  client    {explanation.Client}: {explanation.ClientReason}";
        if (explanation.Frontend is not null)
        {
            string port = string.IsNullOrEmpty(explanation.Port) ? "" : $", port \"{explanation.Port}\"";
            yield return $"  frontend  {explanation.Frontend} {explanation.FrontendAddress} of {explanation.Service}{port}";
        }

        foreach (string reason in explanation.Reasons)
        {
            yield return $"  because   {reason}";
        }

        int width = explanation.Endpoints.Select(endpoint => endpoint.Address.Length).DefaultIfEmpty().Max();
        foreach (ExplainedEndpoint endpoint in explanation.Endpoints)
        {
            string use = endpoint.Used ? "used    " : "not used";
            yield return $"  endpoint  {endpoint.Address.PadRight(width)}  {use}  {endpoint.Reason} ({endpoint.Slice})";
        }

        foreach (string problem in explanation.Problems)
        {
            yield return $"  problem   {problem}";
        }

        yield return $"  outcome   {Outcome(explanation)}";
    }

    private static string Outcome(FlowExplanation explanation) => explanation.Outcome switch
    {
        "pass" => "passes: not for a service",
        "forward" => $"forwarded to {string.Join(", ", explanation.Backends)}",
        "reject" => "refused (ECONNREFUSED; TCP reset or ICMP port unreachable)",
        "drop" => "dropped (EPERM at a socket)",
        _ => "accepted: the node's health check of the service answers",
    };
}
