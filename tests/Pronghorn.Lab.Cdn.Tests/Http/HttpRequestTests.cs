// SPDX-License-Identifier: Apache-2.0
using System;
using System.Text;
using Pronghorn.Lab.Cdn.Http;
using Xunit;

namespace Pronghorn.Lab.Cdn.Tests.Http;

/// <summary>Heads of requests, whole, in part, and wrong.</summary>
public sealed class HttpRequestTests
{
    private const string Whole = "GET /file/a/10?x=1 HTTP/1.1\r\nHost: cdn\r\nRange: bytes=1-2\r\n\r\n";

    [Fact]
    public void Head_IsRead_AndWhatFollowsIsLeft()
    {
        Assert.Equal(RequestState.Complete, Read(Whole + "GET /next", out HttpRequest? request, out int length));
        Assert.Equal(Whole.Length, length);
        Assert.Equal(("GET", "/file/a/10", "bytes=1-2", true), (request!.Method, request.Path, request.Range, request.KeepsAlive));
    }

    [Fact]
    public void EveryPartOfAHead_IsPartial()
    {
        for (int length = 0; length < Whole.Length; length++)
        {
            Assert.Equal(RequestState.Partial, Read(Whole[..length], out _, out _));
        }
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", false)]
    [InlineData("GET / HTTP/1.1\r\nConnection: Keep-Alive, Upgrade\r\n\r\n", true)]
    [InlineData("GET / HTTP/1.0\r\n\r\n", false)]
    [InlineData("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", true)]
    [InlineData("\r\nGET / HTTP/1.1\r\n\r\n", true)]
    public void Connection_IsKeptAsVersionAndFieldSay(string text, bool keepsAlive)
    {
        Assert.Equal(RequestState.Complete, Read(text, out HttpRequest? request, out int length));
        Assert.Equal((keepsAlive, text.Length), (request!.KeepsAlive, length));
    }

    [Theory]
    [InlineData("GET /\r\n\r\n")]
    [InlineData("GET / HTTP/2.0\r\n\r\n")]
    [InlineData("GET http://a/ HTTP/1.1\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nno colon\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost : a\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n")]
    [InlineData("get /")]
    [InlineData("\x16\x03\x01\x02")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAA")]
    public void WhatIsNoRequest_IsBad(string text) => Assert.Equal(RequestState.Bad, Read(text, out _, out _));

    [Fact]
    public void HeadWithoutEnd_IsBadAtItsLimit() => Assert.Equal(
        RequestState.Bad, Read("GET / HTTP/1.1\r\nA: " + new string('a', HttpRequest.MaximumLength), out _, out _));

    [Fact]
    public void Body_IsSeen()
    {
        Read("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", out HttpRequest? request, out _);
        Assert.Equal(5, request!.ContentLength);
        Read("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", out request, out _);
        Assert.NotEqual(0, request!.ContentLength);
    }

    [Theory]
    [InlineData("bytes=0-9", 0, 10)]
    [InlineData("bytes=5-", 5, 95)]
    [InlineData("bytes=-7", 93, 7)]
    [InlineData("bytes=-700", 0, 100)]
    [InlineData("bytes=90-700", 90, 10)]
    [InlineData("bytes=99-99", 99, 1)]
    public void Range_IsReadWithinTheSize(string field, long offset, long length)
    {
        Assert.True(ByteRange.TryRead(field, 100, out ByteRange range, out bool isSatisfiable));
        Assert.True(isSatisfiable);
        Assert.Equal(new ByteRange(offset, length), range);
    }

    [Theory]
    [InlineData("bytes=100-")]
    [InlineData("bytes=-0")]
    public void Range_BehindTheEnd_IsNotSatisfiable(string field)
    {
        Assert.True(ByteRange.TryRead(field, 100, out _, out bool isSatisfiable));
        Assert.False(isSatisfiable);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("lines=1-2")]
    [InlineData("bytes=2-1")]
    [InlineData("bytes=1-2,4-5")]
    [InlineData("bytes=-")]
    [InlineData("bytes=a-b")]
    public void Range_ThatIsWrong_IsIgnored(string? field)
    {
        Assert.False(ByteRange.TryRead(field, 100, out ByteRange range, out _));
        Assert.Equal(new ByteRange(0, 100), range);
    }

    [Theory]
    [InlineData("/file/a/10", true)]
    [InlineData("/live/a", true)]
    [InlineData("/live/a/8/3", true)]
    [InlineData("/media/a.flv", true)]
    [InlineData("/media/a.flv/500", true)]
    [InlineData("/media/..", false)]
    [InlineData("/media/../a", false)]
    [InlineData("/media/.a", false)]
    [InlineData("/media/a/0", false)]
    [InlineData("/media/a/b", false)]
    [InlineData("/media/%2e%2e", false)]
    [InlineData("/file/a", false)]
    [InlineData("/file/a/-1", false)]
    [InlineData("/file/a/1/2", false)]
    [InlineData("/file/a b/1", false)]
    [InlineData("/live/a/0", false)]
    [InlineData("/file//1", false)]
    public void Path_NamesAContentOrNothing(string path, bool isContent) => Assert.Equal(isContent, ContentPath.Read(path) is not null);

    private static RequestState Read(string text, out HttpRequest? request, out int length) =>
        HttpRequest.TryRead(Encoding.Latin1.GetBytes(text), out request, out length);
}
