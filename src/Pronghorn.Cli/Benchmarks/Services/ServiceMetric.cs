// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Cli.Benchmarks.Services;

/// <summary>Something that is measured.</summary>
/// <param name="Name">Its name in the results.</param>
/// <param name="Unit">Its unit.</param>
/// <param name="MoreIsBetter">Whether a higher value is better.</param>
/// <param name="Title">What it is, for people.</param>
internal sealed record ServiceMetric(string Name, string Unit, bool MoreIsBetter, string Title)
{
    internal static readonly ServiceMetric ConnectionsPod = new("connections_pod", "1/s", true, "new connections, pod to ClusterIP");
    internal static readonly ServiceMetric ConnectionsNode = new("connections_node", "1/s", true, "new connections, node to ClusterIP");
    internal static readonly ServiceMetric ConnectionsDirect = new("connections_direct", "1/s", true, "new connections, pod to pod");
    internal static readonly ServiceMetric Requests = new("requests", "1/s", true, "requests, kept connections to ClusterIP");
    internal static readonly ServiceMetric PacketsEstablished = new("packets_established", "1/s", true, "NodePort packets, known flows");
    internal static readonly ServiceMetric PacketsNew = new("packets_new", "1/s", true, "NodePort packets, new flows");
    internal static readonly ServiceMetric Ceiling = new("generator_ceiling", "1/s", true, "packets of the generator alone");
    internal static readonly ServiceMetric ChangeVisible = new("change_visible", "ms", false, "service added to first connection");
    internal static readonly ServiceMetric ChangeWrite = new("change_write", "ms", false, "of that, map writes or restore");
    internal static readonly ServiceMetric Load = new("load", "s", false, "all services set up");
    internal static readonly ServiceMetric KernelMemory = new("kernel_memory", "MiB", false, "kernel memory of all services");

    /// <summary>The CPU time that goes with a rate.</summary>
    internal ServiceMetric Cpu => new(Name + "_cpu", "s/million", false, Title + ": CPU");
}
