// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Xdp;

namespace Pronghorn.Devices;

/// <summary>What a device has counted: by this program, by the steering program and by the kernel's sockets.</summary>
/// <param name="Socket">Counted by this program, summed over the queues.</param>
/// <param name="Steering">Counted by the steering program.</param>
/// <param name="Kernel">Counted by the kernel's sockets, summed over the queues.</param>
public readonly record struct XdpStatistics(
    XskStatistics Socket,
    SteeringCounters Steering,
    XskKernelStatistics Kernel);
