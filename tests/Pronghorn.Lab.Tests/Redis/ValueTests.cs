// SPDX-License-Identifier: Apache-2.0
using System;
using System.Diagnostics;
using System.IO;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Xunit;

namespace Pronghorn.Lab.Tests.Redis;

/// <summary>The largest values that redis takes come back as they were.</summary>
public sealed class ValueTests : IDisposable
{
    private const int LargestValue = 512 << 20;
    private readonly RedisLab _lab = new();

    public void Dispose() => _lab.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(1447)]
    [InlineData(1448)]
    [InlineData(65_536)]
    [InlineData(10_000_001)]
    [InlineData(LargestValue)]
    public void Value_SetAndGotten_IsTheSame(int length)
    {
        _lab.StartServer();
        using RespConnection client = _lab.Connect();
        byte[] value = RandomBytes(length);
        Assert.Equal("OK", client.Text("SET", "value", value));
        Assert.Equal((long)length, client.Call("STRLEN", "value"));
        byte[] back = (byte[])client.Call("GET", "value")!;
        Assert.True(value.AsSpan().SequenceEqual(back));
    }

    [Fact]
    public void LargestValue_SetAndGottenByClientOnPronghorn_IsTheSame()
    {
        _lab.StartServer();
        string source = Path.Combine(_lab.ClientDirectory, "source");
        string target = Path.Combine(_lab.ClientDirectory, "target");
        File.WriteAllBytes(source, RandomBytes(LargestValue));
        Assert.Equal("OK\n", Shell($"redis-cli -h {TwoHosts.ServerAddress} -x SET value < {source}"));
        Shell($"redis-cli -h {TwoHosts.ServerAddress} --raw GET value > {target}");

        // redis-cli ends what it prints by a line feed of its own.
        using (FileStream back = File.Open(target, FileMode.Open))
        {
            Assert.Equal(LargestValue + 1, back.Length);
            back.SetLength(LargestValue);
        }

        Assert.Equal(Hash(source), Hash(target));
    }

    private static byte[] RandomBytes(int length)
    {
        // xorshift: a seeded Random takes seconds for half a gigabyte.
        byte[] bytes = GC.AllocateUninitializedArray<byte>(length);
        ulong state = 0x9E3779B97F4A7C15;
        foreach (ref ulong word in MemoryMarshal.Cast<byte, ulong>(bytes.AsSpan()))
        {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word = state;
        }

        bytes.AsSpan(length & ~7).Fill((byte)length);
        return bytes;
    }

    private static string Hash(string path)
    {
        using FileStream file = File.OpenRead(path);
        return Convert.ToHexString(SHA256.HashData(file));
    }

    private string Shell(string command)
    {
        using Process process = _lab.Hosts.Client.Start("sh", ["-c", command], Product.Options(Side.Pronghorn));
        string output = process.StandardOutput.ReadToEnd();
        string error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, error);
        return output;
    }
}
