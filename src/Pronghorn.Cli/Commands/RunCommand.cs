// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;

namespace Pronghorn.Cli.Commands;

internal static class RunCommand
{
    internal static Command Create() => new("run", "");
}
