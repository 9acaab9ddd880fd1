// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.Simulation;

/// <summary>Something happened in a simulation that must not. The message says what, under which seed, and how to see it again.</summary>
public sealed class SimulationException : Exception
{
    /// <summary>Makes an empty one.</summary>
    public SimulationException()
    {
    }

    /// <summary>Makes one with a message.</summary>
    public SimulationException(string message)
        : base(message)
    {
    }

    /// <summary>Makes one with a message and what caused it.</summary>
    public SimulationException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
