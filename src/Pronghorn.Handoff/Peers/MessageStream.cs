// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.IO;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Protocol;

namespace Pronghorn.Handoff.Peers;

/// <summary>Messages over a stream between two daemons. Any thread may send; one reads.</summary>
internal sealed class MessageStream(Stream stream) : IAsyncDisposable
{
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly byte[] _length = new byte[MessageCodec.LengthBytes];

    /// <summary>Sends a message whole.</summary>
    /// <exception cref="IOException">The stream has ended.</exception>
    public async ValueTask SendAsync(Message message, CancellationToken cancellation)
    {
        var bytes = new ArrayBufferWriter<byte>();
        MessageCodec.Write(message, bytes);
        await _turn.WaitAsync(cancellation);
        try
        {
            // Half a message would make all that follow unreadable: once begun, it is finished.
            await stream.WriteAsync(bytes.WrittenMemory, CancellationToken.None);
            await stream.FlushAsync(CancellationToken.None);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>
    /// Waits for the next message, in the calling thread; null when the other side has ended the stream between two messages.
    /// </summary>
    /// <exception cref="IOException">The stream ends within a message, or fails.</exception>
    /// <exception cref="ImageFormatException">What comes is no message.</exception>
    public Message? Read()
    {
        int got = stream.ReadAtLeast(_length, _length.Length, throwOnEndOfStream: false);
        if (got == 0)
        {
            return null;
        }

        if (got < _length.Length)
        {
            throw new EndOfStreamException("the stream ended within a message");
        }

        uint length = BinaryPrimitives.ReadUInt32BigEndian(_length);
        if (length > MessageCodec.MaximumLength)
        {
            throw new ImageFormatException(string.Create(
                CultureInfo.InvariantCulture, $"a message of {length} bytes; at most {MessageCodec.MaximumLength} are allowed"));
        }

        byte[] bytes = GC.AllocateUninitializedArray<byte>((int)length);
        stream.ReadExactly(bytes);
        return MessageCodec.Read(bytes);
    }

    /// <summary>Ends the stream. Whoever waits for a turn gets it, and fails on the stream: the semaphore itself holds nothing.</summary>
    public ValueTask DisposeAsync() => stream.DisposeAsync();
}
