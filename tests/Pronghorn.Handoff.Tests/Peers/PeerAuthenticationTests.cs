// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Threading.Tasks;
using Pronghorn.Handoff.Peers;
using Xunit;

namespace Pronghorn.Handoff.Tests.Peers;

public sealed class PeerAuthenticationTests : IDisposable
{
    private readonly TestCertificates _ours = new();
    private readonly TestCertificates _others = new();

    public void Dispose()
    {
        _ours.Dispose();
        _others.Dispose();
    }

    [Fact]
    public async Task BothSignedByTheAuthority_TalkAndKnowEachOther()
    {
        (SslStream client, SslStream server, string name) = await MeetAsync(_ours.Issue("edge-1"), _ours.Issue("edge-2"), "edge-2");

        Assert.Equal("edge-1", name);
        Assert.Equal(SslProtocols.Tls13, client.SslProtocol);
        await client.WriteAsync(new byte[] { 1 });
        Assert.Equal(1, await server.ReadAsync(new byte[2]));
    }

    [Fact]
    public async Task ServerOfAnotherAuthority_IsRefused() =>
        await Assert.ThrowsAnyAsync<Exception>(() => MeetAsync(_ours.Issue("edge-1"), _others.Issue("edge-2"), "edge-2"));

    [Fact]
    public async Task ClientOfAnotherAuthority_IsRefused() =>
        await Assert.ThrowsAnyAsync<Exception>(() => MeetAsync(_others.Issue("edge-1"), _ours.Issue("edge-2"), "edge-2"));

    [Fact]
    public async Task ServerOfAnotherName_IsRefused() => await Assert.ThrowsAsync<AuthenticationException>(
        () => MeetAsync(_ours.Issue("edge-1"), _ours.Issue("edge-3"), "edge-2"));

    private async Task<(SslStream Client, SslStream Server, string Name)> MeetAsync(
        X509Certificate2 client, X509Certificate2 server, string name)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var near = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await near.ConnectAsync(listener.LocalEndPoint!);
        Socket far = await listener.AcceptAsync();
        Task<(SslStream Stream, string Name)> accepting =
            new PeerAuthentication(server, _ours.Authority).AcceptAsync(new NetworkStream(far, true), default);
        try
        {
            SslStream connected = await new PeerAuthentication(client, _ours.Authority)
                .ConnectAsync(new NetworkStream(near, true), name, default);
            (SslStream accepted, string known) = await accepting;
            return (connected, accepted, known);
        }
        catch (Exception failure) when (failure is AuthenticationException or IOException)
        {
            near.Dispose();
            far.Dispose();
            await accepting.ContinueWith(static ended => _ = ended.Exception, TaskScheduler.Default);
            throw;
        }
    }
}
