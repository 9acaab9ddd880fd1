// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Cli;

/// <summary>What the command line returns to the shell; scripts depend on these.</summary>
internal static class ExitStatus
{
    internal const int Done = 0;
    internal const int Failed = 1;
    internal const int Usage = 2;

    /// <summary>For <c>run</c>, as env(1) and the shells have it: the program is there and cannot be executed.</summary>
    internal const int NotExecutable = 126;

    /// <summary>For <c>run</c>, as env(1) and the shells have it: there is no such program.</summary>
    internal const int NotFound = 127;
}
