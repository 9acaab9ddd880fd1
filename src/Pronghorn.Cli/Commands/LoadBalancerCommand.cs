// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;

namespace Pronghorn.Cli.Commands;

/// <summary><c>pronghorn lb</c>: the service load balancer.</summary>
internal static class LoadBalancerCommand
{
    internal static Command Create() => new("lb", "The service load balancer, in place of kube-proxy.")
    {
        LoadBalancerEnableCommand.Create(),
        LoadBalancerEnableCommand.CreateDisable(),
        LoadBalancerStatusCommand.Create(),
        LoadBalancerStatusCommand.CreateList(),
        LoadBalancerExplainCommand.Create(),
    };
}
