// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Text;
using System.Globalization;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Pronghorn.Lab.Tests.Redis;

/// <summary>An error reply.</summary>
internal sealed record RespError(string Message);

/// <summary>A client of redis' protocol (RESP 2), on the kernel's stack, blocking.</summary>
internal sealed class RespConnection : IDisposable
{
    private const int PatienceMilliseconds = 120_000;
    private readonly Socket _socket;
    private readonly byte[] _buffer = new byte[1 << 16];
    private readonly MemoryStream _pending = new();
    private int _start;
    private int _end;

    private RespConnection(Socket socket) => _socket = socket;

    /// <summary>Address and port of this end.</summary>
    public IPEndPoint Local => (IPEndPoint)_socket.LocalEndPoint!;

    /// <summary>The socket.</summary>
    public Socket Socket => _socket;

    /// <summary>Connects from a namespace.</summary>
    public static RespConnection Connect(NetworkNamespace from, string address, int port) =>
        new(NamespaceThread.Run(from, () =>
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)
            {
                NoDelay = true,
                ReceiveTimeout = PatienceMilliseconds,
                SendTimeout = PatienceMilliseconds,
            };
            try
            {
                socket.Connect(IPAddress.Parse(address), port);
                return socket;
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }));

    /// <summary>Sends a command and reads its reply: string (status), long, byte[], null, object[] or <see cref="RespError"/>.</summary>
    public object? Call(params object[] words)
    {
        Send(words);
        return Read();
    }

    /// <summary>As <see cref="Call"/>, with the reply as text.</summary>
    public string Text(params object[] words) => AsText(Call(words));

    /// <summary>Sends a command.</summary>
    public void Send(params object[] words)
    {
        Queue(words);
        Flush();
    }

    /// <summary>Notes a command for the next <see cref="Flush"/>.</summary>
    public void Queue(params object[] words)
    {
        WriteLine('*', words.Length);
        foreach (object word in words)
        {
            byte[] bytes = word as byte[] ?? Encoding.UTF8.GetBytes(Convert.ToString(word, CultureInfo.InvariantCulture)!);
            WriteLine('$', bytes.Length);
            if (bytes.Length > _buffer.Length)
            {
                Flush();
                SendAll(bytes);
            }
            else
            {
                _pending.Write(bytes);
            }

            _pending.Write("\r\n"u8);
        }
    }

    /// <summary>Sends what was noted.</summary>
    public void Flush()
    {
        SendAll(_pending.GetBuffer().AsSpan(0, (int)_pending.Length));
        _pending.SetLength(0);
    }

    /// <summary>Reads one reply.</summary>
    /// <exception cref="EndOfStreamException">The server closed.</exception>
    public object? Read()
    {
        char kind = (char)ReadByte();
        string line = ReadLine();
        switch (kind)
        {
            case '+':
                return line;
            case '-':
                return new RespError(line);
            case ':':
                return long.Parse(line, CultureInfo.InvariantCulture);
            case '$':
                return ReadBulk(int.Parse(line, CultureInfo.InvariantCulture));
            case '*':
                int count = int.Parse(line, CultureInfo.InvariantCulture);
                if (count < 0)
                {
                    return null;
                }

                object?[] items = new object?[count];
                for (int i = 0; i < count; i++)
                {
                    items[i] = Read();
                }

                return items;
            default:
                throw new InvalidDataException($"A reply begins with '{kind}'.");
        }
    }

    /// <summary>Reads one reply as text.</summary>
    public string ReadText() => AsText(Read());

    /// <summary>A reply as text; arrays with blanks between.</summary>
    public static string AsText(object? reply) => reply switch
    {
        null => "(nil)",
        byte[] bytes => Encoding.UTF8.GetString(bytes),
        object?[] items => string.Join(' ', Array.ConvertAll(items, AsText)),
        _ => Convert.ToString(reply, CultureInfo.InvariantCulture)!,
    };

    /// <summary>Whether the server has closed: reads until it does.</summary>
    public bool IsClosedByServer()
    {
        try
        {
            return _socket.Receive(_buffer) == 0;
        }
        catch (SocketException exception) when (exception.SocketErrorCode == SocketError.ConnectionReset)
        {
            return true;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _socket.Dispose();
        _pending.Dispose();
    }

    private void WriteLine(char kind, int number)
    {
        Span<byte> text = stackalloc byte[16];
        text[0] = (byte)kind;
        Utf8Formatter.TryFormat(number, text[1..], out int length);
        _pending.Write(text[..(length + 1)]);
        _pending.Write("\r\n"u8);
    }

    private void SendAll(ReadOnlySpan<byte> data)
    {
        while (!data.IsEmpty)
        {
            data = data[_socket.Send(data)..];
        }
    }

    private void Fill()
    {
        _start = 0;
        _end = _socket.Receive(_buffer);
        if (_end == 0)
        {
            throw new EndOfStreamException("The server closed the connection.");
        }
    }

    private byte ReadByte()
    {
        if (_start == _end)
        {
            Fill();
        }

        return _buffer[_start++];
    }

    private string ReadLine()
    {
        var line = new StringBuilder();
        for (byte next = ReadByte(); next != '\n'; next = ReadByte())
        {
            if (next != '\r')
            {
                line.Append((char)next);
            }
        }

        return line.ToString();
    }

    private byte[]? ReadBulk(int length)
    {
        if (length < 0)
        {
            return null;
        }

        byte[] bytes = GC.AllocateUninitializedArray<byte>(length);
        int done = Math.Min(length, _end - _start);
        _buffer.AsSpan(_start, done).CopyTo(bytes);
        _start += done;
        while (done < length)
        {
            int count = _socket.Receive(bytes.AsSpan(done));
            done += count > 0 ? count : throw new EndOfStreamException("The server closed the connection.");
        }

        ReadByte();
        ReadByte();
        return bytes;
    }
}
