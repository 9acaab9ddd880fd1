// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.Text;

namespace Pronghorn.Lab.Cdn.Http;

/// <summary>Heads of responses: written here, and read from other nodes.</summary>
public static class HttpResponse
{
    /// <summary>A head with a body of a known length.</summary>
    public static byte[] Head(string status, long length, bool keepsAlive, string more = "") => Encoding.ASCII.GetBytes(string.Create(
        CultureInfo.InvariantCulture,
        $"HTTP/1.1 {status}\r\nServer: pronghorn-las\r\nContent-Length: {length}\r\n{Connection(keepsAlive)}{more}\r\n"));

    /// <summary>A head with a body in chunks.</summary>
    public static byte[] ChunkedHead(bool keepsAlive, string node, string type) => Encoding.ASCII.GetBytes(
        $"HTTP/1.1 200 OK\r\nServer: pronghorn-las\r\nContent-Type: {type}\r\nTransfer-Encoding: chunked\r\n"
        + $"X-Cdn-Node: {node}\r\n{Connection(keepsAlive)}\r\n");

    /// <summary>A whole response with a line of text.</summary>
    public static byte[] Whole(string status, string text, bool keepsAlive, string more = "", bool isHead = false)
    {
        byte[] body = Encoding.UTF8.GetBytes(text + "\n");
        byte[] head = Head(status, body.Length, keepsAlive, "Content-Type: text/plain\r\n" + more);
        return isHead ? head : [.. head, .. body];
    }

    /// <summary>Finds the end of a head; -1 when it is not there yet.</summary>
    public static int FindEnd(ReadOnlySpan<byte> bytes)
    {
        int at = bytes.IndexOf("\r\n\r\n"u8);
        return at < 0 ? -1 : at + 4;
    }

    /// <summary>The Content-Length of a head; null when it has none: the body lasts until the end.</summary>
    public static long? ReadLength(ReadOnlySpan<byte> head)
    {
        foreach (string line in Encoding.Latin1.GetString(head).Split("\r\n"))
        {
            const string Name = "Content-Length:";
            if (line.StartsWith(Name, StringComparison.OrdinalIgnoreCase)
                && long.TryParse(line.AsSpan(Name.Length).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out long length))
            {
                return length;
            }
        }

        return null;
    }

    private static string Connection(bool keepsAlive) => keepsAlive ? "" : "Connection: close\r\n";
}
