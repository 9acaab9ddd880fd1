// SPDX-License-Identifier: Apache-2.0
using System;
using System.Text;

namespace Pronghorn.Lab.Cdn.Http;

/// <summary>How far a request is there.</summary>
public enum RequestState
{
    /// <summary>Not whole yet.</summary>
    Partial,

    /// <summary>Whole.</summary>
    Complete,

    /// <summary>No request of HTTP/1.0 or 1.1, or one too long: answer 400 and close.</summary>
    Bad,
}

/// <summary>The head of a request of HTTP/1.1 (RFC 9112), as far as a server of files needs it.</summary>
public sealed record HttpRequest
{
    /// <summary>Longest head.</summary>
    public const int MaximumLength = 16 * 1024;

    /// <summary>Name of the field by which an edge tells another that it relays.</summary>
    public const string RelayField = "X-Cdn-Relay";

    /// <summary>GET, HEAD, ...</summary>
    public required string Method { get; init; }

    /// <summary>Path, without what follows a question mark.</summary>
    public required string Path { get; init; }

    /// <summary>Whether another request may follow.</summary>
    public bool KeepsAlive { get; init; } = true;

    /// <summary>The field Range; null where there is none.</summary>
    public string? Range { get; init; }

    /// <summary>Bytes of a body; anything but 0 is not served.</summary>
    public long ContentLength { get; init; }

    /// <summary>Whether another edge relays it: it is to be answered here.</summary>
    public bool IsRelayed { get; init; }

    /// <summary>Reads the head at the beginning of what was received.</summary>
    /// <param name="bytes">What was received and not consumed.</param>
    /// <param name="request">The request, when it is complete.</param>
    /// <param name="length">Its bytes, when it is complete.</param>
    public static RequestState TryRead(ReadOnlySpan<byte> bytes, out HttpRequest? request, out int length)
    {
        request = null;
        length = 0;

        // RFC 9112, 2.2: an empty line before the request line is ignored.
        int start = 0;
        while (bytes[start..].StartsWith("\r\n"u8))
        {
            start += 2;
        }

        int end = bytes[start..].IndexOf("\r\n\r\n"u8);
        if (end < 0)
        {
            return bytes.Length - start >= MaximumLength || !MayBegin(bytes[start..]) ? RequestState.Bad : RequestState.Partial;
        }

        if (end > MaximumLength)
        {
            return RequestState.Bad;
        }

        length = start + end + 4;
        string[] lines = Encoding.Latin1.GetString(bytes.Slice(start, end)).Split("\r\n");
        string[] words = lines[0].Split(' ');
        if (words is not [{ Length: > 0 }, ['/', ..], "HTTP/1.1" or "HTTP/1.0"])
        {
            return RequestState.Bad;
        }

        request = new HttpRequest
        {
            Method = words[0],
            Path = words[1].Split('?')[0],
            KeepsAlive = words[2] == "HTTP/1.1",
        };
        for (int i = 1; i < lines.Length; i++)
        {
            int colon = lines[i].IndexOf(':', StringComparison.Ordinal);
            if (colon <= 0 || lines[i][colon - 1] is ' ' or '\t' || !TryAdd(ref request, lines[i][..colon], lines[i][(colon + 1)..].Trim()))
            {
                return RequestState.Bad;
            }
        }

        return RequestState.Complete;
    }

    private static bool TryAdd(ref HttpRequest request, string name, string value)
    {
        switch (name.ToUpperInvariant())
        {
            case "CONNECTION":
                bool closes = value.Contains("close", StringComparison.OrdinalIgnoreCase);
                bool keeps = value.Contains("keep-alive", StringComparison.OrdinalIgnoreCase);
                request = request with { KeepsAlive = !closes && (request.KeepsAlive || keeps) };
                return true;
            case "RANGE":
                request = request with { Range = value };
                return true;
            case "CONTENT-LENGTH":
                bool isNumber = long.TryParse(value, System.Globalization.NumberStyles.None, null, out long length);
                request = request with { ContentLength = length };
                return isNumber;
            case "TRANSFER-ENCODING":
                // A body of unknown length: not served.
                request = request with { ContentLength = long.MaxValue };
                return true;
            case "X-CDN-RELAY":
                request = request with { IsRelayed = true };
                return true;
            default:
                return true;
        }
    }

    // Whether it can still become a request: a method of capital letters, then a blank.
    private static bool MayBegin(ReadOnlySpan<byte> bytes)
    {
        const int LongestMethod = 16;
        for (int i = 0; i < bytes.Length && i <= LongestMethod; i++)
        {
            if (bytes[i] == ' ' && i > 0)
            {
                return true;
            }

            if (bytes[i] is < (byte)'A' or > (byte)'Z' && !(bytes[i] == '\r' && bytes.Length == i + 1))
            {
                return false;
            }
        }

        return bytes.Length <= LongestMethod;
    }
}
