// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Handoff.Image;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Tests.Image;

/// <summary>Images of connections that nobody restores.</summary>
internal static class TestImage
{
    /// <summary>An established connection with nothing in its queues.</summary>
    public static ConnectionImage Of(TcpEnd local, TcpEnd remote) => new()
    {
        IsIpv6 = false,
        Local = local,
        Remote = remote,
        State = KernelTcpState.Established,
        WriteSequence = 1,
        RcvNxt = 2,
        SendQueue = default,
        Unsent = 0,
        ReceiveQueue = default,
        Negotiated = default,
        MaximumSegment = 1460,
        SendScale = 0,
        ReceiveScale = 0,
        Timestamp = 3,
        Window = default,
    };
}
