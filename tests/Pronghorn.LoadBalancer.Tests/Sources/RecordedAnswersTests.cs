// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Sources.KubernetesApi;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Sources;

/// <summary>Streaming lists as a server sent them, byte for byte: ours, and the recorded one where it is found.</summary>
public sealed class RecordedAnswersTests
{
    public static TheoryData<string> Streams() =>
    [
        Path.Combine(AppContext.BaseDirectory, "Sources", "streaming_list.jsonl"),
        .. Recordings.Find(Path.Combine("apiserver", "watchlist_services.jsonl")),
    ];

    [Theory]
    [MemberData(nameof(Streams))]
    public async Task StreamingList_Replayed_TellsTheListAndThenEachChange(string file)
    {
        string[] lines = await File.ReadAllLinesAsync(file);
        int end = Array.FindIndex(lines, static line => line.Contains("k8s.io/initial-events-end", StringComparison.Ordinal));
        await using WebApplication server = await ServeAsync(string.Join('\n', lines) + "\n");
        await using var source = new FollowedSource(new KubernetesApiSource(new ApiServerAccess { Server = new Uri(server.Urls.First()) }));

        ServicesListed listed = await source.NextAsync<ServicesListed>();
        List<string> told = [];
        string[] expected =
        [
            .. lines[(end + 1)..].Select(Describe).Where(static text => !text.StartsWith("BOOKMARK", StringComparison.Ordinal)),
        ];
        while (told.Count < expected.Length)
        {
            told.Add(Describe(await source.NextAsync()));
        }

        Assert.Equal(lines[..end].Select(Describe), listed.Services.Select(static service => $"APPLIED {service.Metadata.FullName}"));
        Assert.Equal(expected, told);
        Assert.Empty(source.Problems.All);
    }

    private static string Describe(string line)
    {
        using JsonDocument json = JsonDocument.Parse(line);
        JsonElement metadata = json.RootElement.GetProperty("object").GetProperty("metadata");
        string type = json.RootElement.GetProperty("type").GetString()!;
        string name = metadata.TryGetProperty("name", out JsonElement text) ? text.GetString()! : "";
        string @namespace = metadata.TryGetProperty("namespace", out JsonElement space) ? space.GetString()! : "";
        return type switch
        {
            "ADDED" or "MODIFIED" => $"APPLIED {@namespace}/{name}",
            _ => $"{type} {@namespace}/{name}",
        };
    }

    private static string Describe(ClusterChange change) => change switch
    {
        ServiceApplied applied => $"APPLIED {applied.Service.Metadata.FullName}",
        ServiceRemoved removed => $"DELETED {removed.Name}",
        _ => change.ToString(),
    };

    /// <summary>Answers the first watch of services with the text, and leaves it open; every other request waits.</summary>
    private static async Task<WebApplication> ServeAsync(string text)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(static kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        WebApplication application = builder.Build();
        application.Run(async context =>
        {
            if (context.Request.Path.Value == "/api/v1/services")
            {
                await context.Response.WriteAsync(text);
                await context.Response.Body.FlushAsync();
            }

            await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(static _ => { }, TaskScheduler.Default);
        });
        await application.StartAsync();
        return application;
    }
}
