// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Files;

/// <summary>Who is at the other end of a Unix socket, as the kernel says (SO_PEERCRED, unix(7)).</summary>
/// <param name="ProcessId">Its process when it connected.</param>
/// <param name="User">Its effective user.</param>
/// <param name="Group">Its effective group.</param>
public readonly record struct PeerCredentials(int ProcessId, uint User, uint Group);

/// <summary>Descriptors over Unix sockets (SCM_RIGHTS, unix(7), cmsg(3)): one with a message, or none.</summary>
public static unsafe class DescriptorPassing
{
    private const int SocketLevel = 1;
    private const int Rights = 1; // SCM_RIGHTS
    private const int OptionPeerCredentials = 17; // SO_PEERCRED
    private const int DoNotWait = 0x40; // MSG_DONTWAIT
    private const int NoSignal = 0x4000; // MSG_NOSIGNAL
    private const int CloseOnExec = 0x40000000; // MSG_CMSG_CLOEXEC
    private const int ControlTruncated = 8; // MSG_CTRUNC

    // struct cmsghdr: length, level, type; on 64-bit machines 16 bytes, and what follows is aligned to 8.
    private const int HeaderLength = 16;
    private const int MostDescriptors = 8;
    private const int ControlLength = HeaderLength + (MostDescriptors * sizeof(int));

    /// <summary>Sends bytes, with a descriptor if there is one; never waits for room.</summary>
    /// <param name="socket">A connected Unix socket.</param>
    /// <param name="bytes">One byte at least: a descriptor does not go by itself over a stream.</param>
    /// <param name="descriptor">The descriptor, still the caller's afterwards; -1 for none.</param>
    /// <returns>Bytes sent, or a negative error number: -EAGAIN when the other end does not read.</returns>
    public static long Send(int socket, ReadOnlySpan<byte> bytes, int descriptor)
    {
        byte* control = stackalloc byte[HeaderLength + sizeof(long)];
        fixed (byte* data = bytes)
        {
            var part = new IoVector { Base = data, Length = (nuint)bytes.Length };
            var message = new MessageHeader { Parts = &part, PartCount = 1 };
            if (descriptor >= 0)
            {
                *(nuint*)control = HeaderLength + sizeof(int);
                *(int*)(control + 8) = SocketLevel;
                *(int*)(control + 12) = Rights;
                *(int*)(control + HeaderLength) = descriptor;
                message.Control = control;
                message.ControlLength = HeaderLength + sizeof(long);
            }

            return Libc.SendMessage(socket, &message, NoSignal | DoNotWait);
        }
    }

    /// <summary>Receives bytes, and the descriptor that came with them.</summary>
    /// <param name="socket">A connected Unix socket.</param>
    /// <param name="bytes">Where to.</param>
    /// <param name="descriptor">The descriptor, the caller's to close; -1 for none. Of several the first; the others are closed.</param>
    /// <returns>Bytes received, 0 at the end, or a negative error number.</returns>
    public static long Receive(int socket, Span<byte> bytes, out int descriptor)
    {
        descriptor = -1;
        byte* control = stackalloc byte[ControlLength];
        fixed (byte* data = bytes)
        {
            var part = new IoVector { Base = data, Length = (nuint)bytes.Length };
            var message = new MessageHeader { Parts = &part, PartCount = 1, Control = control, ControlLength = ControlLength };
            long received = Libc.ReceiveMessage(socket, &message, CloseOnExec);
            if (received >= 0)
            {
                descriptor = Take(control, (int)message.ControlLength, (message.Flags & ControlTruncated) != 0);
            }

            return received;
        }
    }

    /// <summary>Who is at the other end.</summary>
    /// <returns>0 or a negative error number.</returns>
    public static int GetPeer(int socket, out PeerCredentials peer)
    {
        int result = Libc.GetSocketOption(
            socket, SocketLevel, OptionPeerCredentials, out (int Process, uint User, uint Group) credentials, out _);
        peer = new PeerCredentials(credentials.Process, credentials.User, credentials.Group);
        return result;
    }

    // Descriptors that were not asked for are open already: whoever sends them must not fill this process's table.
    private static int Take(byte* control, int length, bool isTruncated)
    {
        int kept = -1;
        int offset = 0;
        while (offset + HeaderLength <= length)
        {
            int size = (int)Math.Min(*(nuint*)(control + offset), (nuint)(length - offset));
            if (size < HeaderLength)
            {
                break;
            }

            bool isRights = *(int*)(control + offset + 8) == SocketLevel && *(int*)(control + offset + 12) == Rights;
            for (int at = HeaderLength; isRights && at + sizeof(int) <= size; at += sizeof(int))
            {
                int found = *(int*)(control + offset + at);
                if (kept < 0 && !isTruncated)
                {
                    kept = found;
                }
                else
                {
                    _ = Libc.Close(found);
                }
            }

            offset += (size + 7) & ~7;
        }

        return kept;
    }
}

/// <summary>struct iovec.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct IoVector
{
    public byte* Base;
    public nuint Length;
}

/// <summary>struct msghdr (recvmsg(2)).</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct MessageHeader
{
    public void* Name;
    public uint NameLength;
    public IoVector* Parts;
    public nuint PartCount;
    public void* Control;
    public nuint ControlLength;
    public int Flags;
}
