// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Stack.Tcp;

namespace Pronghorn.Posix;

/// <summary>Answers of <see cref="SocketLayer"/> that are not error numbers.</summary>
public static class SocketResult
{
    /// <summary>The call would block and may: wait, then ask again.</summary>
    public const int Wait = -5000;

    /// <summary>The real call decides.</summary>
    public const int Kernel = -5001;

    /// <summary>
    /// This and less, down to 4095 less: the real call decides, though the socket is for the stack, which lacks something. What
    /// is beyond is the negative error number that says what.
    /// </summary>
    public const int Fallback = -6000;
}

/// <summary>Error numbers (errno(3)).</summary>
internal static class Error
{
    public const int Interrupted = 4;
    public const int BadDescriptor = 9;
    public const int Again = 11;
    public const int NoMemory = 12;
    public const int Exists = 17;
    public const int NoEntry = 2;
    public const int Invalid = 22;
    public const int Pipe = 32;
    public const int Protocol = 71;
    public const int MessageSize = 90;
    public const int NoProtocolOption = 92;
    public const int NotSupported = 95;
    public const int AddressFamily = 97;
    public const int AddressInUse = 98;
    public const int AddressNotAvailable = 99;
    public const int NetworkUnreachable = 101;
    public const int ConnectionAborted = 103;
    public const int ConnectionReset = 104;
    public const int NoBuffers = 105;
    public const int IsConnected = 106;
    public const int NotConnected = 107;
    public const int TimedOut = 110;
    public const int ConnectionRefused = 111;
    public const int HostUnreachable = 113;
    public const int Already = 114;
    public const int InProgress = 115;

    /// <summary>The error number for what the stack says.</summary>
    public static int From(TcpError error) => error switch
    {
        TcpError.None => 0,
        TcpError.ConnectionRefused => ConnectionRefused,
        TcpError.ConnectionReset => ConnectionReset,
        TcpError.TimedOut => TimedOut,
        TcpError.HostUnreachable => HostUnreachable,
        TcpError.NetworkUnreachable => NetworkUnreachable,
        TcpError.AddressInUse => AddressInUse,
        TcpError.AddressNotAvailable => AddressNotAvailable,
        TcpError.NoBuffers => NoBuffers,
        TcpError.BrokenPipe => Pipe,
        TcpError.NotConnected => NotConnected,
        TcpError.AlreadyConnected => IsConnected,
        TcpError.InProgress => InProgress,
        TcpError.WouldBlock => Again,
        TcpError.MessageTooLong => MessageSize,
        TcpError.ConnectionAborted => ConnectionAborted,
        TcpError.ProtocolError => Protocol,
        _ => Invalid,
    };
}

/// <summary>Flags of recv(2) and send(2).</summary>
internal static class MessageFlags
{
    public const int OutOfBand = 0x1;
    public const int Peek = 0x2;
    public const int Truncate = 0x20;
    public const int DontWait = 0x40;
    public const int ErrorQueue = 0x2000;
    public const int More = 0x8000;
}

/// <summary>fcntl(2) and open(2).</summary>
internal static class FileControl
{
    public const int Duplicate = 0;
    public const int GetFlags = 3;
    public const int SetFlags = 4;
    public const int DuplicateCloseOnExec = 1030;
    public const int ReadWrite = 2;
    public const int NonBlocking = 0x800;
    public const int CloseOnExec = 0x80000;
}

/// <summary>epoll(7) and poll(2).</summary>
internal static class Polling
{
    public const int Add = 1;
    public const int Delete = 2;
    public const int Modify = 3;

    public const uint In = 0x1;
    public const uint Out = 0x4;
    public const uint ErrorEvent = 0x8;
    public const uint HangUp = 0x10;
    public const uint ReadNormal = 0x40;
    public const uint WriteNormal = 0x100;
    public const uint Exclusive = 1u << 28;
    public const uint WakeUp = 1u << 29;
    public const uint OneShot = 1u << 30;
    public const uint EdgeTriggered = 1u << 31;

    /// <summary>Reported whether asked for or not.</summary>
    public const uint Always = ErrorEvent | HangUp;
}
