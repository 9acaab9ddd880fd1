// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.Globalization;
using System.Threading.Tasks;
using Xunit;

namespace Pronghorn.Lab.Tests.Loss;

/// <summary>What a transfer took. The octets were compared by the receiver.</summary>
/// <param name="Bytes">Octets.</param>
/// <param name="Seconds">From the established connection to the last octet.</param>
/// <param name="Retransmitted">Segments that the sender sent again.</param>
internal sealed record TransferResult(long Bytes, double Seconds, long Retransmitted)
{
    /// <summary>Millions of bits a second.</summary>
    public double Megabits => Bytes * 8 / Seconds / 1e6;
}

/// <summary>Runs programs/transfer.c over a cable, the server on one stack and the client on another.</summary>
internal sealed class Transfers : IDisposable
{
    private static int s_port = 5000;

    private readonly FaultyCable _cable;
    private readonly Side _client;
    private readonly string _port = (++s_port).ToString(CultureInfo.InvariantCulture);
    private readonly LabProgram _server;

    public Transfers(FaultyCable cable, Side client, Side server)
    {
        _cable = cable;
        _client = client;
        _server = LabProgram.Start(
            cable.Server, cable.Transfer, ["serve", TwoHosts.ServerAddress, _port], Product.Options(server), "ready");
    }

    /// <summary>Moves octets from the client to the server, or from the server to the client.</summary>
    public TransferResult Run(bool fromServer, long bytes, int seed)
    {
        string number = bytes.ToString(CultureInfo.InvariantCulture);
        using Process process = _cable.Client.Start(
            _cable.Transfer,
            [fromServer ? "get" : "put", TwoHosts.ServerAddress, _port, number, seed.ToString(CultureInfo.InvariantCulture)],
            Product.Options(_client));
        Task<string> error = process.StandardError.ReadToEndAsync();
        string[] words = process.StandardOutput.ReadToEnd().Split(' ', '\n');
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, error.Result + _server.Said);
        Assert.Equal(number, words[0]);
        Assert.Equal("cubic", words[3]);
        return new TransferResult(
            bytes, long.Parse(words[1], CultureInfo.InvariantCulture) / 1e9, long.Parse(words[2], CultureInfo.InvariantCulture));
    }

    /// <inheritdoc/>
    public void Dispose() => _server.Dispose();
}
