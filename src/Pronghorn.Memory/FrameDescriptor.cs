// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Memory;

/// <summary>A packet inside a frame of a <see cref="FramePool"/>: which frame, and where in it.</summary>
/// <param name="Frame">The frame's index, 0 to <see cref="FramePool.FrameCount"/> - 1.</param>
/// <param name="Offset">First byte of the packet, counted from the frame's start.</param>
/// <param name="Length">Length of the packet in bytes, link-layer header included.</param>
public readonly record struct FrameDescriptor(int Frame, ushort Offset, ushort Length);
