// SPDX-License-Identifier: Apache-2.0
using System;
using System.Net.Sockets;
using System.Threading.Tasks;
using Pronghorn.Handoff.Image;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Tcp;
using Xunit;

namespace Pronghorn.Handoff.Tests.Moves;

/// <summary>Bytes of a connection that moves: written, read, compared; and waiting for what its sockets come to.</summary>
internal static class SceneBytes
{
    public const int OffsetOfSegmentsSent = 136;
    public const int OffsetOfOutOfOrder = 224;
    public const int OffsetOfSendWindow = 228;
    private const int TcpInfo = 11;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    public static byte[] Random(int length, int seed)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    public static async Task WriteAsync(Socket socket, ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            bytes = bytes[await socket.SendAsync(bytes).AsTask().WaitAsync(s_patience)..];
        }
    }

    public static async Task<byte[]> ReadAsync(Socket socket, int length)
    {
        byte[] bytes = new byte[length];
        for (int got = 0; got < length;)
        {
            int count = await socket.ReceiveAsync(bytes.AsMemory(got)).AsTask().WaitAsync(s_patience);
            Assert.True(count > 0, $"the end after {got} bytes");
            got += count;
        }

        return bytes;
    }

    /// <summary>Reads what is written, and the end behind it.</summary>
    public static async Task AssertEndsWithAsync(ReadOnlyMemory<byte> expected, Socket socket)
    {
        Assert.Equal(expected.ToArray(), await ReadAsync(socket, expected.Length));
        Assert.Equal(0, await socket.ReceiveAsync(new byte[1]).WaitAsync(s_patience));
    }

    /// <summary>Sends many bytes both ways at once.</summary>
    public static async Task AssertCarriesAsync(Socket client, Socket server)
    {
        byte[] bytes = Random(1_500_000, 7);
        Task<byte[]> down = ReadAsync(client, bytes.Length);
        Task<byte[]> up = ReadAsync(server, bytes.Length);
        await Task.WhenAll(WriteAsync(server, bytes), WriteAsync(client, bytes));
        Assert.Equal(bytes, await down);
        Assert.Equal(bytes, await up);
    }

    /// <summary>Writes for as long as the kernel takes it, to a socket that nobody reads at the other end.</summary>
    public static int Fill(Socket socket, ReadOnlySpan<byte> bytes)
    {
        socket.Blocking = false;
        int written = 0;
        for (SocketError error = SocketError.Success; error == SocketError.Success && written < bytes.Length;)
        {
            written += socket.Send(bytes[written..], SocketFlags.None, out error);
        }

        return written;
    }

    public static async Task<(Socket Moved, ConnectionImage Image)> MoveAsync(MoveScene scene)
    {
        MoveOutcome outcome = await scene.MoveAsync(static image => image);
        Assert.True(outcome.Refusal.IsNone, outcome.Refusal.ToString());
        return await scene.TakenAsync();
    }

    public static Task WaitForStateAsync(Socket socket, KernelTcpState state) => WaitAsync(() => StateOf(socket) == state, $"{state}");

    public static KernelTcpState StateOf(Socket socket)
    {
        Assert.Equal(0, TcpInformation.Query((int)socket.Handle, out TcpInformation information));
        return information.State;
    }

    /// <summary>A number of 32 bits of struct tcp_info (linux/tcp.h).</summary>
    public static uint ReadInformation(Socket socket, int offset)
    {
        byte[] information = new byte[offset + sizeof(uint)];
        Assert.Equal(information.Length, Libc.GetSocketOption((int)socket.Handle, TcpRepair.Level, TcpInfo, information.AsSpan()));
        return BitConverter.ToUInt32(information, offset);
    }

    public static async Task WaitAsync(Func<bool> isThere, string what)
    {
        for (long end = Environment.TickCount64 + 30_000; !isThere(); await Task.Delay(1))
        {
            Assert.True(Environment.TickCount64 < end, $"never came: {what}");
        }
    }
}
