// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Cli;

/// <summary>What the command line returns to the shell; scripts depend on these three.</summary>
internal static class ExitStatus
{
    internal const int Done = 0;
    internal const int Failed = 1;
    internal const int Usage = 2;
}
