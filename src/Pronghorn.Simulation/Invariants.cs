// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Stack.Tcp;

namespace Pronghorn.Simulation;

/// <summary>What must hold in every stack between two steps.</summary>
public static class Invariants
{
    /// <summary>Checks all connections of a host.</summary>
    /// <exception cref="SimulationException">Something does not hold.</exception>
    public static void Check(SimulatedHost host)
    {
        for (int id = 1; id < host.Tcp.UpperBound; id++)
        {
            if (host.Tcp.IsActive(id) && host.Tcp.FindInconsistency(id) is { } problem)
            {
                ref readonly TransmissionControlBlock tcb = ref host.Tcp.Get(id);
                throw new SimulationException(
                    $"{host.Name}, connection {id} ({tcb.State}, {tcb.Recovery}, {tcb.Flags}): {problem}");
            }
        }
    }

    /// <summary>Checks that a host without connections holds no frame.</summary>
    /// <exception cref="SimulationException">A frame is leaked.</exception>
    public static void CheckNothingHeld(SimulatedHost host)
    {
        int held = host.Frames.FrameCount - host.Frames.FreeCount - host.FramesInDevices;
        if (host.Tcp.ConnectionCount == 0 && held != 0)
        {
            throw new SimulationException($"{host.Name} has no connection and holds {held} frames");
        }
    }
}
