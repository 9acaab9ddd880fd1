// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;

namespace Pronghorn.Cli.Commands;

internal static class StatisticsCommand
{
    internal static Command Create() => new("stat", "");
}
