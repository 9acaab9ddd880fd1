// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;

namespace Pronghorn.Cli.Commands;

internal static class LabCommand
{
    internal static Command Create() => new("lab", "");
}
