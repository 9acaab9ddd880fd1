// SPDX-License-Identifier: Apache-2.0
using Pronghorn.LoadBalancer.Cluster;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>Makes problems of what a web server complains of.</summary>
internal static class WebProblems
{
    internal static void ReportWeb(this IProblemSink problems, string complaint) =>
        problems.Report(new Problem("web server", "", complaint));
}
