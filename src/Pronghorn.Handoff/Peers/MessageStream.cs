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

/// <summary>
/// Messages over a stream between two daemons. Any thread may send; one reads. What the reading thread says while more has come already
/// leaves together: each write is a record of TLS, a system call and a wake-up at the other end.
/// </summary>
internal sealed class MessageStream(Stream stream) : IAsyncDisposable
{
    private const int BufferLength = 64 * 1024;

    // Connections stand still until what is said of them leaves.
    private const int MostTogether = 8;

    // Beyond that who sends waits until it has been written: the other end may have stopped reading.
    private const int MostWaiting = 1 << 20;

    private readonly Lock _lock = new();
    private byte[] _read = new byte[BufferLength];
    private int _start;
    private int _end;
    private int _reader;
    private ArrayBufferWriter<byte> _waiting = new();
    private ArrayBufferWriter<byte> _written = new();
    private TaskCompletionSource _writtenAll = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _waitingCount;
    private bool _isWriting;
    private bool _isBroken;
    private volatile bool _hasMore;
    private long _readCount;

    /// <summary>How often something has come: half a message is a sign of life too.</summary>
    public long ReadCount => Interlocked.Read(ref _readCount);

    /// <summary>Sends a message whole.</summary>
    /// <exception cref="IOException">The stream has ended.</exception>
    public ValueTask SendAsync(Message message, CancellationToken cancellation)
    {
        ArrayBufferWriter<byte>? large = null;
        if (message is Transfer { Image.Length: > BufferLength })
        {
            // Others need not wait for it to be written down.
            MessageCodec.Write(message, large = new ArrayBufferWriter<byte>());
        }

        lock (_lock)
        {
            if (_isBroken)
            {
                throw new IOException("the stream has ended");
            }

            if (large is null)
            {
                MessageCodec.Write(message, _waiting);
            }
            else
            {
                _waiting.Write(large.WrittenSpan);
            }

            _waitingCount++;
            bool isTogether = _hasMore && _waitingCount < MostTogether && Environment.CurrentManagedThreadId == _reader;
            if (_isWriting || isTogether)
            {
                return _waiting.WrittenCount < MostWaiting
                    ? ValueTask.CompletedTask : new ValueTask(_writtenAll.Task.WaitAsync(cancellation));
            }

            _isWriting = true;
        }

        return WriteAsync();
    }

    /// <summary>
    /// Waits for the next message, in the calling thread; null when the other side has ended the stream between two messages.
    /// </summary>
    /// <exception cref="IOException">The stream ends within a message, or fails.</exception>
    /// <exception cref="ImageFormatException">What comes is no message.</exception>
    public Message? Read()
    {
        _reader = Environment.CurrentManagedThreadId;
        int length = LengthOfNext();
        if (length < 0 || _end - _start < length)
        {
            _hasMore = false;
            WriteWaiting();
            length = Fill();
            if (length < 0)
            {
                return null;
            }
        }

        byte[] bytes = _read.AsSpan(_start + MessageCodec.LengthBytes, length - MessageCodec.LengthBytes).ToArray();
        _start += length;
        int next = LengthOfNext();
        _hasMore = next > 0 && _end - _start >= next;
        return MessageCodec.Read(bytes);
    }

    /// <summary>Ends the stream. What waits to be written fails.</summary>
    public ValueTask DisposeAsync() => stream.DisposeAsync();

    /// <summary>Reads until there is a whole message.</summary>
    /// <returns>Its length with what is before it; negative at the end of the stream.</returns>
    private int Fill()
    {
        while (true)
        {
            int length = LengthOfNext();
            if (length >= 0 && _end - _start >= length)
            {
                return length;
            }

            MakeRoom(Math.Max(length, MessageCodec.LengthBytes));
            int got = stream.Read(_read, _end, _read.Length - _end);
            if (got == 0)
            {
                return _end == _start ? -1 : throw new EndOfStreamException("the stream ended within a message");
            }

            _end += got;
            Interlocked.Increment(ref _readCount);
        }
    }

    private void MakeRoom(int length)
    {
        // One that was made for a large message is not kept.
        int wanted = Math.Max(length, BufferLength);
        if (_start > 0 || _read.Length != wanted)
        {
            byte[] to = _read.Length == wanted ? _read : GC.AllocateUninitializedArray<byte>(Math.Max(wanted, _end - _start));
            Buffer.BlockCopy(_read, _start, to, 0, _end - _start);
            (_read, _end, _start) = (to, _end - _start, 0);
        }
    }

    /// <summary>Length of the message that is to be read next, with what is before it; negative where that is not known yet.</summary>
    private int LengthOfNext()
    {
        if (_end - _start < MessageCodec.LengthBytes)
        {
            return -1;
        }

        uint length = BinaryPrimitives.ReadUInt32BigEndian(_read.AsSpan(_start));
        return length <= MessageCodec.MaximumLength ? MessageCodec.LengthBytes + (int)length
            : throw new ImageFormatException(string.Create(
                CultureInfo.InvariantCulture, $"a message of {length} bytes; at most {MessageCodec.MaximumLength} are allowed"));
    }

    private void WriteWaiting()
    {
        lock (_lock)
        {
            if (_isWriting || _waitingCount == 0)
            {
                return;
            }

            _isWriting = true;
        }

        // Not waited for: if both sides waited for the other to read, none would.
        _ = WriteWithoutErrorAsync();
    }

    private async Task WriteWithoutErrorAsync()
    {
        try
        {
            await WriteAsync();
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException)
        {
            // The reader sees the same.
        }
    }

    private async ValueTask WriteAsync()
    {
        while (true)
        {
            TaskCompletionSource written;
            lock (_lock)
            {
                if (_waitingCount == 0)
                {
                    _isWriting = false;
                    return;
                }

                (_waiting, _written) = (_written, _waiting);
                _waitingCount = 0;
                written = _writtenAll;
                _writtenAll = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }

            try
            {
                // Half a message would make all that follow unreadable: once begun, it is finished.
                await stream.WriteAsync(_written.WrittenMemory, CancellationToken.None);
                await stream.FlushAsync(CancellationToken.None);
                Empty();
            }
            catch
            {
                lock (_lock)
                {
                    _isBroken = true;
                    _writtenAll.SetResult();
                }

                throw;
            }
            finally
            {
                written.SetResult();
            }
        }
    }

    private void Empty()
    {
        // One that has held a large image is not kept.
        if (_written.Capacity > BufferLength)
        {
            _written = new ArrayBufferWriter<byte>();
        }
        else
        {
            _written.ResetWrittenCount();
        }
    }
}
