// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.Lab;

/// <summary>A command that builds the network failed; the message has the command and what it said.</summary>
public sealed class LabException : Exception
{
    /// <summary>Makes an exception.</summary>
    public LabException(string message)
        : base(message)
    {
    }

    /// <summary>Makes an exception without a message.</summary>
    public LabException()
    {
    }

    /// <summary>Makes an exception with the one that caused it.</summary>
    public LabException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
