// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Xdp;

namespace Pronghorn.Devices;

/// <summary>How to open an <see cref="XdpDevice"/>.</summary>
public sealed class XdpDeviceOptions
{
    /// <summary>Bytes in a frame unless stated otherwise.</summary>
    public const int DefaultFrameSize = 2048;

    /// <summary>Number of frames unless stated otherwise: 16 MiB of locked memory.</summary>
    public const int DefaultFrameCount = 8192;

    /// <summary>Environment variable by which a user states the number of frames of a program.</summary>
    public const string FrameCountVariable = "PRONGHORN_FRAMES";

    /// <summary>Bytes in a frame: 2048 (for an MTU up to 1774) or 4096 (up to 3822).</summary>
    public int FrameSize { get; set; } = DefaultFrameSize;

    /// <summary>Number of frames: 128 to 16,777,216, and 128 or more for each receive queue.</summary>
    public int FrameCount { get; set; } = DefaultFrameCount;

    /// <summary>Sizes of the rings of each queue. The fill rings together are shrunk to half of the frames.</summary>
    public XskRingSizes Rings { get; set; } = XskRingSizes.Default;

    /// <summary>Whether frames are copied between device and UMEM.</summary>
    public XskCopyMode CopyMode { get; set; }

    /// <summary>Where the steering program runs.</summary>
    public XdpAttachMode AttachMode { get; set; }

    /// <summary>Whether the limit on locked memory may be raised for the time of opening.</summary>
    public bool RaiseLockedMemoryLimit { get; set; } = true;
}
