// SPDX-License-Identifier: Apache-2.0
using System;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Lab;
using Pronghorn.LoadBalancer.Daemon;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Daemon;

public sealed class LinkFollowerTests : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(20);

    private readonly NetworkNamespace _host = NetworkNamespace.Create(LabCleanup.CreatePrefix() + "-follow");

    public void Dispose() => _host.Dispose();

    [Theory]
    [InlineData("192.0.2.7/24")]
    [InlineData("2001:db8::7/64")]
    public async Task AddressComesAndGoes_IsToldEachTime(string address)
    {
        using var told = new SemaphoreSlim(0);
        using var ended = new CancellationTokenSource();
        Task following = NamespaceThread.Run(_host, () => LinkFollower.RunAsync(null, () => told.Release(), ended.Token));

        // What is there at first is told too.
        Assert.True(await told.WaitAsync(s_limit));
        _host.Run("ip", "address", "add", address, "dev", "lo");
        Assert.True(await told.WaitAsync(s_limit));
        while (await told.WaitAsync(0))
        {
            // One change may be told in parts.
        }

        _host.Run("ip", "address", "del", address, "dev", "lo");
        Assert.True(await told.WaitAsync(s_limit));
        await ended.CancelAsync();
        await following;
    }
}
