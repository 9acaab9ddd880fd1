// SPDX-License-Identifier: Apache-2.0
using System;
using System.Linq;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

/// <summary>What we report: RFC 2018 and, for duplicates, RFC 2883.</summary>
public sealed class SackTests
{
    private static TcpFixture Open() => new TcpFixture().Accept(options: TcpFixture.SackOptions());

    private static void Data(TcpFixture net, int seq, int length = 100) =>
        net.Peer(TcpFlags.Ack, seq, payload: TcpFixture.Bytes(length));

    [Fact]
    public void Holes_LatestBlockComesFirst()
    {
        using TcpFixture net = Open();
        Data(net, 100);
        Assert.Equal([(100, 200)], net.Expect().Sacks(net.PeerOrigin));
        Data(net, 300);
        Assert.Equal([(300, 400), (100, 200)], net.Expect().Sacks(net.PeerOrigin));
        Data(net, 500);
        Assert.Equal([(500, 600), (300, 400), (100, 200)], net.Expect().Sacks(net.PeerOrigin));
        Data(net, 700);
        Data(net, 900);
        Assert.Equal([(900, 1000), (700, 800), (500, 600), (300, 400)], net.ExpectAll()[^1].Sacks(net.PeerOrigin));
    }

    [Fact]
    public void NeighbouringSegments_AreOneBlock()
    {
        using TcpFixture net = Open();
        Data(net, 100);
        Data(net, 300);
        Data(net, 200);
        Assert.Equal([(100, 400)], net.ExpectAll()[^1].Sacks(net.PeerOrigin));
    }

    [Fact]
    public void HoleIsFilled_BlocksGo()
    {
        using TcpFixture net = Open();
        Data(net, 100);
        Data(net, 300);
        net.ExpectAll();
        Data(net, 0);
        SentSegment ack = net.Expect();
        Assert.Equal(200, ack.Ack);
        Assert.Equal([(300, 400)], ack.Sacks(net.PeerOrigin));
        Data(net, 200);
        ack = net.Expect();
        Assert.Equal(400, ack.Ack);
        Assert.Empty(ack.Sacks(net.PeerOrigin));
        Assert.Equal(400, net.Read().Length);
    }

    [Fact]
    public void WithTimestamps_ThreeBlocksFit()
    {
        using var net = new TcpFixture();
        net.Accept(options: net.FullOptions());
        for (int i = 1; i < 10; i += 2)
        {
            Data(net, i * 100);
        }

        Assert.Equal(3, net.ExpectAll()[^1].Options.SackBlockCount);
    }

    [Fact]
    public void DuplicateOfOldData_IsReportedOnce()
    {
        using TcpFixture net = Open();
        Data(net, 0);
        net.ExpectAll();
        Data(net, 0);
        SentSegment ack = net.Expect();
        Assert.Equal(100, ack.Ack);
        Assert.Equal([(0, 100)], ack.Sacks(net.PeerOrigin));
        Data(net, 200);
        Assert.Equal([(200, 300)], net.Expect().Sacks(net.PeerOrigin));
    }

    [Fact]
    public void DuplicateAboveAHole_IsReportedBeforeItsBlock()
    {
        using TcpFixture net = Open();
        Data(net, 100, 300);
        net.ExpectAll();
        Data(net, 200);
        Assert.Equal([(200, 300), (100, 400)], net.Expect().Sacks(net.PeerOrigin));
    }

    [Fact]
    public void FinOutOfOrder_IsCoveredByItsBlock()
    {
        using TcpFixture net = Open();
        net.Peer(TcpFlags.Ack | TcpFlags.Fin, 100, payload: TcpFixture.Bytes(50));
        Assert.Equal([(100, 151)], net.Expect().Sacks(net.PeerOrigin));
    }

    [Fact]
    public void SackNotAgreed_NothingIsReported()
    {
        using TcpFixture net = new TcpFixture().Accept();
        Data(net, 100);
        Assert.Equal(0, net.Expect().Options.SackBlockCount);
    }

    [Fact]
    public void EverySegmentOutOfOrder_IsAnsweredAtOnce()
    {
        using TcpFixture net = Open();
        for (int i = 1; i <= 20; i++)
        {
            Data(net, i * 100);
            Assert.Equal(0, Assert.Single(net.ExpectAll()).Ack);
        }
    }

    [Fact]
    public void OutOfOrderSegments_InAnyOrder_StreamIsWhole()
    {
        using TcpFixture net = Open();
        byte[] all = TcpFixture.Bytes(3000);
        int[] order = [29, 3, 17, 5, 5, 4, 28, 16, 1, 2, 10, 12, 11, 9, 20, 21, 19, 18, 27, 26, 25, 6, 7, 8, 13, 14, 15, 24, 23, 22];
        foreach (int i in order)
        {
            net.Peer(TcpFlags.Ack, i * 100, payload: all.AsSpan(i * 100, 100));
            net.Tick();
        }

        Assert.Equal(0, net.Tcb.ReceiveQueueBytes);
        net.Peer(TcpFlags.Ack, 0, payload: all.AsSpan(0, 100));
        Assert.Equal(all, net.Read());
        Assert.Equal(0, net.Tcb.OutOfOrderFrames);
        Assert.Equal(3000, net.ExpectAll().Max(s => s.Ack));
    }
}
