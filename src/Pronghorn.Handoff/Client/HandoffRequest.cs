// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Handoff.Client;

/// <summary>A connection of a batch that is to go to workers of other nodes.</summary>
/// <param name="Connection">The connection; it stays the caller's.</param>
/// <param name="Target">Address and port that the other worker has registered.</param>
/// <param name="Worker">Its index.</param>
/// <param name="Consumed">What was read of the stream already and the new owner is to read again.</param>
/// <param name="Tag">What else goes along.</param>
public readonly record struct HandoffRequest(
    SafeHandle Connection, TcpEnd Target, uint Worker, ReadOnlyMemory<byte> Consumed = default, ReadOnlyMemory<byte> Tag = default);
