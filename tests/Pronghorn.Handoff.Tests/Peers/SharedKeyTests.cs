// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Threading.Tasks;
using Pronghorn.Handoff.Configuration;
using Pronghorn.Handoff.Peers;
using Xunit;

namespace Pronghorn.Handoff.Tests.Peers;

/// <summary>A key that all nodes have, instead of certificates.</summary>
public sealed class SharedKeyTests : IDisposable
{
    private readonly string _file = Path.GetTempFileName();
    private readonly byte[] _key = RandomNumberGenerator.GetBytes(SharedKey.FewestBytes);
    private readonly byte[] _other = RandomNumberGenerator.GetBytes(SharedKey.FewestBytes);

    /// <inheritdoc/>
    public void Dispose() => File.Delete(_file);

    [Fact]
    public async Task SameKey_TalkAndKnowEachOther()
    {
        (SslStream client, SslStream server, string name) = await MeetAsync(_key, _key, "edge-2");

        Assert.Equal("edge-1", name);
        Assert.Equal(SslProtocols.Tls13, client.SslProtocol);
        Assert.Equal(SslProtocols.Tls13, server.SslProtocol);
        await client.WriteAsync(new byte[] { 1 });
        Assert.Equal(1, await server.ReadAsync(new byte[2]));
    }

    [Fact]
    public async Task ServerWithAnotherKey_IsRefusedByTheClient()
    {
        (Exception? client, _) = await FailAsync(_key, _other, "edge-2");
        Assert.IsType<AuthenticationException>(client);
    }

    [Fact]
    public async Task ClientWithAnotherKey_IsRefusedByTheServer()
    {
        // This one believes everybody: the server alone has to see it. In TLS 1.3 the client is done first.
        (_, Exception? server) = await FailAsync(null, _key, "edge-2");
        Assert.IsType<AuthenticationException>(server);
    }

    [Fact]
    public async Task ServerOfAnotherName_IsRefused()
    {
        (Exception? client, _) = await FailAsync(_key, _key, "edge-3");
        Assert.IsType<AuthenticationException>(client);
    }

    [Fact]
    public void Scalar_IsTheSameEverywhere_AndOfThisKeyAlone()
    {
        byte[] known = [.. Enumerable.Range(0, 32).Select(static number => (byte)number)];

        // HMAC by hand, RFC 5869: what is derived must never change, or nodes of two versions do not know each other.
        byte[] extracted = HMACSHA256.HashData(new byte[32], known);
        byte[] information = [.. "pronghorn handoff authority P-256"u8, 1, 1];
        Assert.Equal(HMACSHA256.HashData(extracted, information), SharedKey.DeriveScalar(known));
        Assert.NotEqual(SharedKey.DeriveScalar(_key), SharedKey.DeriveScalar(_other));
    }

    [Theory]
    [InlineData("0000000000000000000000000000000000000000000000000000000000000000", false)]
    [InlineData("0000000000000000000000000000000000000000000000000000000000000001", true)]
    [InlineData("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550", true)]
    [InlineData("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", false)]
    [InlineData("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", false)]
    public void Scalar_OutsideTheGroup_IsNone(string number, bool isScalar) =>
        Assert.Equal(isScalar, SharedKey.IsScalar(Convert.FromHexString(number)));

    [Fact]
    public void File_OfHexDigits_IsRead()
    {
        string text = Convert.ToHexString(_key);
        Write(text[..20] + "\n" + text[20..].ToLowerInvariant() + "\n");
        Assert.Equal(_key, SharedKey.Read(_file));
    }

    [Theory]
    [InlineData("", "has 0 hex digits; 64 are needed")]
    [InlineData("00112233445566778899aabbccddeeff00112233445566778899aabbccddee", "has 62 hex digits; 64 are needed")]
    [InlineData("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff0", "not an even number of hex digits")]
    [InlineData("my secret, which is long enough, but is not random at all, is it", "not an even number of hex digits")]
    public void File_ThatIsNoKey_IsNamed_WithWhatToDo(string text, string expected)
    {
        Write(text);
        string message = Assert.Throws<HandoffConfigurationException>(() => SharedKey.Read(_file)).Message;
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.Contains(_file, message, StringComparison.Ordinal);
        Assert.Contains("openssl rand -hex 32", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(UnixFileMode.GroupRead)]
    [InlineData(UnixFileMode.OtherRead)]
    [InlineData(UnixFileMode.OtherWrite)]
    public void File_ThatOthersMayUse_IsNamed_WithWhatToDo(UnixFileMode others)
    {
        Write(Convert.ToHexString(_key));
        File.SetUnixFileMode(_file, UnixFileMode.UserRead | others);
        string message = Assert.Throws<HandoffConfigurationException>(() => SharedKey.Read(_file)).Message;
        Assert.Contains($"chmod 600 {_file}", message, StringComparison.Ordinal);
    }

    [Fact]
    public void File_ThatIsMissing_IsNamed() => Assert.Contains(
        "preshared_key: /no/such/file: No such file or directory; ",
        Assert.Throws<HandoffConfigurationException>(() => SharedKey.Read("/no/such/file")).Message,
        StringComparison.Ordinal);

    private void Write(string text)
    {
        File.WriteAllText(_file, text);
        File.SetUnixFileMode(_file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    private async Task<(Exception? Client, Exception? Server)> FailAsync(byte[]? client, byte[] server, string name)
    {
        (Task<SslStream> connecting, Task<(SslStream Stream, string Name)> accepting) = await BeginAsync(client, server, name);
        await Task.WhenAll(connecting, accepting).ContinueWith(static _ => { }, TaskScheduler.Default).WaitAsync(TimeSpan.FromSeconds(20));
        return (connecting.Exception?.InnerException, accepting.Exception?.InnerException);
    }

    private async Task<(SslStream Client, SslStream Server, string Name)> MeetAsync(byte[] client, byte[] server, string name)
    {
        (Task<SslStream> connecting, Task<(SslStream Stream, string Name)> accepting) = await BeginAsync(client, server, name);
        (SslStream accepted, string known) = await accepting;
        return (await connecting, accepted, known);
    }

    // The client is edge-1, the server edge-2. Without a key the client shows a certificate of another key, and believes any server.
    private async Task<(Task<SslStream> Connecting, Task<(SslStream Stream, string Name)> Accepting)> BeginAsync(
        byte[]? client, byte[] server, string name)
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var near = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await near.ConnectAsync(listener.LocalEndPoint!);
        Socket far = await listener.AcceptAsync();
        var stream = new NetworkStream(near);
        return (
            ClosingAsync(near, client is null
                ? BelieveAllAsync(stream, name)
                : SharedKey.Authenticate(client, "edge-1").ConnectAsync(stream, name, default)),
            ClosingAsync(far, SharedKey.Authenticate(server, "edge-2").AcceptAsync(new NetworkStream(far), default)));
    }

    private async Task<SslStream> BelieveAllAsync(NetworkStream stream, string name)
    {
        var secure = new SslStream(stream);
        await secure.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = name,
            ApplicationProtocols = [new SslApplicationProtocol("pronghorn-handoff/3")],
            ClientCertificates = [SharedKey.MakeCertificates(_other, "edge-1").Own],
            EnabledSslProtocols = SslProtocols.Tls13,
            RemoteCertificateValidationCallback = static (_, certificate, _, _) => certificate is not null,
        });
        return secure;
    }

    private static async Task<T> ClosingAsync<T>(Socket socket, Task<T> handshake)
    {
        try
        {
            return await handshake;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
