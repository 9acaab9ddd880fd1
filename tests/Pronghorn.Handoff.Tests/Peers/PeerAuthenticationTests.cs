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
    public async Task ServerOfAnotherAuthority_IsRefused() => Assert.Contains(
        "its certificate, for \"edge-2\", is not signed by this node's authority",
        await RefusalOfServerAsync(_others.Issue("edge-2")), StringComparison.Ordinal);

    [Fact]
    public async Task ClientOfAnotherAuthority_IsRefused()
    {
        // By TLS 1.3 a client has finished before it is refused.
        (SslStream client, Task<(SslStream Stream, string Name)> accepting) = await ConnectAsync(_others.Issue("edge-1"));
        AuthenticationException refusal = await Assert.ThrowsAsync<AuthenticationException>(() => accepting);
        Assert.Contains(
            "its certificate, for \"edge-1\", is not signed by this node's authority", PeerFailure.Describe(refusal),
            StringComparison.Ordinal);
        await client.DisposeAsync();
    }

    [Fact]
    public async Task ServerOfAnotherName_IsRefused() => Assert.Contains(
        "its certificate is for \"edge-3\", and a peer \"edge-2\" is expected there",
        await RefusalOfServerAsync(_ours.Issue("edge-3")), StringComparison.Ordinal);

    [Fact]
    public async Task ServerWhoseTimeIsOver_IsRefused() => Assert.Contains(
        "its certificate, for \"edge-2\", is good from",
        await RefusalOfServerAsync(_ours.Issue("edge-2", end: TimeSpan.FromMinutes(-1))), StringComparison.Ordinal);

    [Fact]
    public async Task CertificateNamesWhereItsIssuerIs_NothingIsFetched()
    {
        using var elsewhere = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        elsewhere.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        elsewhere.Listen();
        X509Certificate2 stranger = _others.Issue("edge-1", issuerAt: new Uri($"http://{elsewhere.LocalEndPoint}/issuer.cer"));

        (SslStream client, Task<(SslStream Stream, string Name)> accepting) = await ConnectAsync(stranger);
        await Assert.ThrowsAsync<AuthenticationException>(() => accepting);

        Assert.False(elsewhere.Poll(0, SelectMode.SelectRead), "a stranger had it connect to an address");
        await client.DisposeAsync();
    }

    [Fact]
    public async Task ServerThatSpeaksNoTls_IsRefused_WithAReason()
    {
        (NetworkStream near, NetworkStream far) = await OpenAsync();
        await far.WriteAsync("HTTP/1.1 400 Bad Request\r\n\r\n"u8.ToArray());
        Exception refusal = await Assert.ThrowsAnyAsync<Exception>(
            () => new PeerAuthentication(_ours.Issue("edge-1"), _ours.Authority).ConnectAsync(near, "edge-2", default));
        Assert.DoesNotContain("inner exception", PeerFailure.Describe(refusal), StringComparison.Ordinal);
        await far.DisposeAsync();
    }

    private async Task<string> RefusalOfServerAsync(X509Certificate2 server) => PeerFailure.Describe(
        await Assert.ThrowsAsync<AuthenticationException>(() => MeetAsync(_ours.Issue("edge-1"), server, "edge-2")));

    private static async Task<(NetworkStream Near, NetworkStream Far)> OpenAsync()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var near = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await near.ConnectAsync(listener.LocalEndPoint!);
        return (new NetworkStream(near, true), new NetworkStream(await listener.AcceptAsync(), true));
    }

    private async Task<(SslStream Client, Task<(SslStream Stream, string Name)> Accepting)> ConnectAsync(X509Certificate2 client)
    {
        (NetworkStream near, NetworkStream far) = await OpenAsync();
        Task<(SslStream Stream, string Name)> accepting =
            new PeerAuthentication(_ours.Issue("edge-2"), _ours.Authority).AcceptAsync(far, default);
        return (await new PeerAuthentication(client, _ours.Authority).ConnectAsync(near, "edge-2", default), accepting);
    }

    private async Task<(SslStream Client, SslStream Server, string Name)> MeetAsync(
        X509Certificate2 client, X509Certificate2 server, string name)
    {
        (NetworkStream near, NetworkStream far) = await OpenAsync();
        Task<(SslStream Stream, string Name)> accepting =
            new PeerAuthentication(server, _ours.Authority).AcceptAsync(far, default);
        try
        {
            SslStream connected = await new PeerAuthentication(client, _ours.Authority)
                .ConnectAsync(near, name, default);
            (SslStream accepted, string known) = await accepting;
            return (connected, accepted, known);
        }
        catch (Exception failure) when (failure is AuthenticationException or IOException)
        {
            await near.DisposeAsync();
            await far.DisposeAsync();
            await accepting.ContinueWith(static ended => _ = ended.Exception, TaskScheduler.Default);
            throw;
        }
    }
}
