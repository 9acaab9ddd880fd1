// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Linq;
using System.Security.Cryptography;
using System.Threading.Tasks;
using Pronghorn.Lab.Cdn.Content;
using Pronghorn.Lab.Cdn.Network;
using Pronghorn.Lab.Cdn.Servers;
using Xunit;

namespace Pronghorn.Lab.Cdn.Tests.Live;

/// <summary>What happens when a part goes, and what is left behind.</summary>
public sealed class CdnFailureTests
{
    private const int MostRounds = 20;

    [Fact]
    public async Task DaemonsAreKilled_ServersRelay_AndHandOffAgainWhenTheyAreBack()
    {
        string name;
        await using (CdnLab lab = await CdnLab.CreateAsync(
            new CdnLabOptions { Program = [CdnLabTests.World.ProgramPath()], Edges = 2, Ways = [LasWay.Handoff] }))
        {
            name = lab.Name;
            Assert.True(await GetUntilAsync(lab, static status => status.Given), "no connection was given");
            long given = await SumAsync(lab, static status => status.Given);
            foreach (CdnEdge edge in lab.Edges)
            {
                edge.Daemon!.Kill();
                edge.Daemon.WaitForExit();
            }

            while (await SumAsync(lab, static status => status.Workers) > 0)
            {
                await Task.Yield();
            }

            Assert.True(await GetUntilAsync(lab, static status => status.Relayed), "no request was relayed");
            Assert.Equal(given, await SumAsync(lab, static status => status.Given));
            foreach (CdnEdge edge in lab.Edges)
            {
                lab.StartDaemon(edge);
            }

            while (await SumAsync(lab, static status => status.Workers) < 2)
            {
                await Task.Yield();
            }
        }

        Assert.DoesNotContain(
            Directory.GetFiles("/run/netns"), file => Path.GetFileName(file).StartsWith(name + "-", StringComparison.Ordinal));
        Assert.False(Directory.Exists(CdnLab.FolderOf(name)));
        const string Pins = "/sys/fs/bpf/pronghorn/handoff";
        Assert.False(Directory.Exists(Pins) && Directory.GetDirectories(Pins, name + "-*").Length > 0);
    }

    /// <summary>A server that waits for it would keep its clients without a word.</summary>
    [Fact]
    public async Task LdsStops_WhatItHasSaidIsServed_OtherRequestsAreRefused_AndServedWhenItGoesOn()
    {
        await using CdnLab lab = await CdnLab.CreateAsync(
            new CdnLabOptions { Program = [CdnLabTests.World.ProgramPath()], Edges = 1, Ways = [LasWay.Handoff] });
        await GetAllAsync(lab);
        string lds = File.ReadLines(Path.Combine(lab.Edges[0].Group.Path, "cgroup.procs")).Single(
            static process => File.ReadAllText($"/proc/{process}/cmdline").Contains("\0lds\0", StringComparison.Ordinal));
        LabCommand.Run("kill", "-STOP", lds);
        try
        {
            await GetAllAsync(lab);
            for (int i = 0; i < 2; i++)
            {
                string url = FormattableString.Invariant(
                    $"http://{CdnLab.ServiceAddress}:{CdnLab.PortOf(LasWay.Handoff)}/file/unknown-{i}/100");
                string code = lab.Client.Run("curl", "-sS", "--max-time", "30", "-o", "/dev/null", "-w", "%{http_code}", url);
                Assert.StartsWith("5", code, StringComparison.Ordinal);
            }
        }
        finally
        {
            LabCommand.Run("kill", "-CONT", lds);
        }

        await GetAllAsync(lab);
    }

    private static async Task<long> SumAsync(CdnLab lab, Func<LasStatus, long> number) =>
        (await Task.WhenAll(lab.Edges.Select(edge => lab.AskServerAsync(edge, LasWay.Handoff)))).Sum(number);

    /// <summary>Gets all until a number is more than 0: the balancer may lead all of a round's requests to the right edges.</summary>
    private static async Task<bool> GetUntilAsync(CdnLab lab, Func<LasStatus, long> number)
    {
        bool hasCome = false;
        for (int round = 0; round < MostRounds && !hasCome; round++)
        {
            await GetAllAsync(lab);
            hasCome = await SumAsync(lab, number) > 0;
        }

        return hasCome;
    }

    private static async Task GetAllAsync(CdnLab lab)
    {
        foreach (string name in (string[])["a", "b", "c", "d", "e", "f"])
        {
            string file = Path.GetTempFileName();
            string url = FormattableString.Invariant($"http://{CdnLab.ServiceAddress}:{CdnLab.PortOf(LasWay.Handoff)}/file/{name}/100000");
            lab.Client.Run("curl", "-sS", "--fail", "--max-time", "15", "-o", file, url);
            byte[] expected = new byte[100_000];
            GeneratedContent.Fill(name, 0, expected);
            Assert.Equal(SHA256.HashData(expected), SHA256.HashData(await File.ReadAllBytesAsync(file)));
            File.Delete(file);
        }
    }
}
