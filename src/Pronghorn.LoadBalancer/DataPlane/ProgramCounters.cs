// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.Linux.Bpf;

namespace Pronghorn.LoadBalancer.DataPlane;

/// <summary>What choosing a backend counts, at sockets and packets alike: enum lookup_counter of bpf/common/service_lookup.h.</summary>
public enum LookupCounter
{
    /// <summary>The remembered backend was taken.</summary>
    AffinityKept,

    /// <summary>None was remembered, or the time was over, or that backend takes no more connections.</summary>
    AffinityChosen,

    /// <summary>The affinity could not be stored.</summary>
    AffinityFull,

    /// <summary>The set shrank between two reads; its first slot was taken instead.</summary>
    EmptySlot,

    /// <summary>The set has no backend after all: treated as if no endpoint were usable.</summary>
    NoBackend,
}

/// <summary>What the socket layer counts: enum socket_counter of bpf/common/service_socket_maps.h.</summary>
public enum SocketCounter
{
    /// <summary>Sent to a backend.</summary>
    Forwarded,

    /// <summary>Refused: the service has no usable endpoint.</summary>
    Refused,

    /// <summary>Refused: policy, or a source outside the ranges.</summary>
    Denied,

    /// <summary>Not a service: left alone.</summary>
    Passed,

    /// <summary>Left to the packet path, which sees the source address.</summary>
    Deferred,

    /// <summary>The way back could not be stored: the program may see the backend's address.</summary>
    ReverseFull,

    /// <summary>recvmsg or getpeername showed the service's address.</summary>
    Reversed,

    /// <summary>A bind to a node port in use was refused.</summary>
    BindRefused,

    /// <summary>Ways back that were removed with their socket.</summary>
    Released,

    /// <summary>Left alone because the node's namespace is not known yet.</summary>
    NotReady,
}

/// <summary>Reads counters of programs: arrays with one value for each processor.</summary>
public static class ProgramCounters
{
    /// <summary>Reads all counters that an enumeration names, summed over the processors.</summary>
    /// <typeparam name="TCounter">The enumeration; its values are the places in the map, from 0 without gaps.</typeparam>
    /// <param name="pin">Path of the pinned map.</param>
    /// <exception cref="BpfException">The map is not there, or cannot be read.</exception>
    public static IReadOnlyDictionary<TCounter, ulong> Read<TCounter>(string pin)
        where TCounter : struct, Enum
    {
        using BpfMap map = BpfMap.OpenPinned(pin);
        Dictionary<TCounter, ulong> counters = [];
        ulong[] values = new ulong[BpfMap.PossibleProcessors];
        TCounter[] names = Enum.GetValues<TCounter>();
        for (uint place = 0; place < names.Length; place++)
        {
            int result = map.LookupPerProcessor<uint, ulong>(place, values);
            if (result < 0)
            {
                throw new BpfException(BpfStep.UseMap, pin, -result);
            }

            counters[names[place]] = values.Aggregate(0UL, (sum, value) => sum + value);
        }

        return counters;
    }
}
