// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.Cli;

/// <summary>An expected failure: the message says what was wrong, where, and what to do.</summary>
internal sealed class CommandException(string message, int status = ExitStatus.Failed) : Exception(message)
{
    /// <summary>The exit status that the failure ends with.</summary>
    internal int Status { get; } = status;
}
