// SPDX-License-Identifier: Apache-2.0
using System.Threading;
using System.Threading.Tasks;

namespace Pronghorn.Handoff.Protocol;

/// <summary>Takes messages to another daemon, in order; they may never arrive.</summary>
public interface IMessageSender
{
    /// <summary>Sends a message. It throws nothing: what cannot be sent is lost, and the waiting ends by its time.</summary>
    ValueTask SendAsync(Message message, CancellationToken cancellation);
}
