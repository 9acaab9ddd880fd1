// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Threading.Tasks;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Sources.KubernetesApi;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Sources;

public sealed class KubernetesApiTests : IDisposable
{
    private const string Services = "api/v1/services";
    private const string Slices = "apis/discovery.k8s.io/v1/endpointslices";
    private const string Nodes = "api/v1/nodes";

    private readonly ApiStore _store = new();
    private ApiServer? _server;

    public void Dispose() => _server?.DisposeAsync().AsTask().GetAwaiter().GetResult();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Start_StreamingListOrPages_TellsTheWholeThenChanges(bool hasStreamingLists)
    {
        for (int index = 0; index < 5; index++)
        {
            _store.Apply(Services, Service($"s{index}"));
        }

        await StartAsync(new ApiServerOptions { HasStreamingLists = hasStreamingLists, PageLimit = 2 });
        await using FollowedSource source = Follow();

        ServicesListed listed = await source.NextAsync<ServicesListed>();
        _store.Apply(Services, Service("s1", "10.96.7.7"));
        _store.Delete(Services, "default", "s2");

        Assert.Equal(["s0", "s1", "s2", "s3", "s4"], listed.Services.Select(static item => item.Metadata.Name));
        Assert.Equal("10.96.7.7", (await source.NextAsync<ServiceApplied>()).Service.Spec.ClusterIP);
        Assert.Equal(new ObjectName("default", "s2"), (await source.NextAsync<ServiceRemoved>()).Name);
        Assert.Equal(hasStreamingLists ? 0 : 3, _server!.Requests.Count(static item => item.Contains("services", StringComparison.Ordinal)
            && item.Contains("limit=", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Watch_LabelOfAnotherProxyAppears_ServiceIsRemoved()
    {
        _store.Apply(Services, Service("web"));
        _store.Apply(Services, Service("other", labels: """{"service.kubernetes.io/service-proxy-name":"x"}"""));
        _store.Apply(Services, Service("headless", labels: """{"service.kubernetes.io/headless":""}"""));
        await StartAsync();
        await using FollowedSource source = Follow();
        ServicesListed listed = await source.NextAsync<ServicesListed>();

        _store.Apply(Services, Service("web", labels: """{"service.kubernetes.io/service-proxy-name":"x"}"""));

        Assert.Equal("web", Assert.Single(listed.Services).Metadata.Name);
        Assert.Equal("web", (await source.NextAsync<ServiceRemoved>()).Name.Name);
    }

    [Fact]
    public async Task ServerRestarts_NothingChanged_WatchResumesFromItsVersion()
    {
        _store.Apply(Services, Service("web"));
        await StartAsync();
        await using FollowedSource source = Follow();
        await source.NextAsync<ServicesListed>();
        await source.NextAsync<EndpointSlicesListed>();

        await _server!.StopAsync();
        _store.Apply(Services, Service("while-away"));
        await _server.StartAsync();

        Assert.Equal("while-away", (await source.NextAsync<ServiceApplied>()).Service.Metadata.Name);
        Assert.Equal(1, Lists(Services));
    }

    [Fact]
    public async Task ServerRestarts_HistoryCompacted_ListsAgainSoThatWhatVanishedGoes()
    {
        _store.Apply(Services, Service("kept"));
        _store.Apply(Services, Service("vanishing"));
        await StartAsync();
        await using FollowedSource source = Follow();
        await source.NextAsync<ServicesListed>();

        await _server!.StopAsync();
        _store.Delete(Services, "default", "vanishing");
        _store.Apply(Services, Service("new"));
        _store.Compact();
        await _server.StartAsync();

        ServicesListed again = await source.NextAsync<ServicesListed>();
        Assert.Equal(["kept", "new"], again.Services.Select(static item => item.Metadata.Name));
    }

    [Fact]
    public async Task Bookmark_HistoryCompactedBehindIt_WatchResumesWithoutAList()
    {
        _store.Apply(Services, Service("web"));
        await StartAsync();
        await using FollowedSource source = Follow();
        await source.NextAsync<ServicesListed>();
        await source.NextAsync<EndpointSlicesListed>();
        _store.Apply(Nodes, """{"metadata":{"name":"elsewhere"}}""");
        _store.Bookmark();
        _store.Apply(Slices, Slice("web"));
        await source.NextAsync<EndpointSliceApplied>();
        _store.Compact();
        _store.Bookmark();
        _store.Apply(Services, Service("marker"));
        await source.NextAsync<ServiceApplied>();

        await _server!.StopAsync();
        await _server.StartAsync();
        _store.Apply(Services, Service("after"));

        Assert.Equal("after", (await source.NextAsync<ServiceApplied>()).Service.Metadata.Name);
        Assert.Equal(1, Lists(Services));
    }

    [Fact]
    public async Task Watch_ErrorEventGone_ListsAgain()
    {
        _store.Apply(Services, Service("web"));
        await StartAsync();
        await using FollowedSource source = Follow();
        await source.NextAsync<ServicesListed>();

        _store.Fail(new ApiStatusException(410, "Expired", "too old resource version"));

        Assert.Equal("web", Assert.Single((await source.NextAsync<ServicesListed>()).Services).Metadata.Name);
    }

    [Fact]
    public async Task Watch_ObjectOfAWrongShape_IsReportedAndTheRestGoesOn()
    {
        await StartAsync();
        await using FollowedSource source = Follow();
        await source.NextAsync<ServicesListed>();

        _store.Apply(Services, """{"metadata":{"name":"bad","namespace":"default"},"spec":{"ports":[{"port":"eighty"}]}}""");
        _store.Apply(Services, Service("good"));

        Assert.Equal("good", (await source.NextAsync<ServiceApplied>()).Service.Metadata.Name);
        Problem problem = Assert.Single(source.Problems.All);
        Assert.Equal("Service default/bad", problem.Subject);
        Assert.Equal("spec.ports[0].port", problem.Field);
    }

    [Fact]
    public async Task Node_OnlyOurs_IsTold()
    {
        _store.Apply(Nodes, """{"metadata":{"name":"n1"},"spec":{"podCIDRs":["10.244.1.0/24"]}}""");
        _store.Apply(Nodes, """{"metadata":{"name":"n2"}}""");
        await StartAsync();
        await using var source = new FollowedSource(new KubernetesApiSource(
            new ApiServerAccess { Server = _server!.Address }, Settings() with { NodeName = "n1" }));

        NodeApplied node = await source.NextAsync<NodeApplied>();

        Assert.Equal(["10.244.1.0/24"], node.Node.Spec.PodCIDRs);
    }

    [Fact]
    public async Task TokenFile_Renewed_IsReadAgain()
    {
        string file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, "first\n");
            string expected = "first";
            _store.Apply(Services, Service("web"));
            await StartAsync(new ApiServerOptions { Token = () => expected });
            await using var source = new FollowedSource(new KubernetesApiSource(
                new ApiServerAccess { Server = _server!.Address, TokenFile = file }, Settings()));
            await source.NextAsync<ServicesListed>();

            expected = "second";
            await File.WriteAllTextAsync(file, "second\n");
            await _server.StopAsync();
            await _server.StartAsync();
            _store.Apply(Services, Service("after"));

            Assert.Equal("after", (await source.NextAsync<ServiceApplied>()).Service.Metadata.Name);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task Tls_ClientCertificateOfKubeconfig_IsAccepted()
    {
        using X509Certificate2 server = Certificate("kubernetes");
        using X509Certificate2 client = Certificate("node-proxy");
        _store.Apply(Services, Service("web"));
        await StartAsync(new ApiServerOptions { Certificate = server, ClientThumbprint = client.Thumbprint });
        string file = WriteKubeconfig(server, client, "kubernetes");
        try
        {
            await using var source = new FollowedSource(new KubernetesApiSource(Kubeconfig.Read(file), Settings()));

            Assert.Single((await source.NextAsync<ServicesListed>()).Services);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Theory]
    [InlineData("another-name", true)]
    [InlineData("kubernetes", false)]
    public async Task Tls_WrongNameOrAuthority_IsRefusedAndReported(string name, bool isRightAuthority)
    {
        using X509Certificate2 server = Certificate("kubernetes");
        using X509Certificate2 stranger = Certificate("kubernetes");
        await StartAsync(new ApiServerOptions { Certificate = server });
        string file = WriteKubeconfig(isRightAuthority ? server : stranger, client: null, name);
        try
        {
            await using var source = new FollowedSource(new KubernetesApiSource(Kubeconfig.Read(file), Settings()));
            while (source.Problems.All.Count == 0)
            {
                await Task.Yield();
            }

            source.AssertNothingMore();
            Assert.Contains("certificate", source.Problems.All[0].Message, StringComparison.OrdinalIgnoreCase);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Theory]
    [InlineData("current-context: x\n", "there is none named \"x\"")]
    [InlineData("{}", "current-context")]
    [InlineData("a: [", ":2:")]
    public void Kubeconfig_Wrong_SaysWhat(string text, string message)
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, text);

            ApiAccessException error = Assert.Throws<ApiAccessException>(() => Kubeconfig.Read(file));

            Assert.Contains(message, error.Message, StringComparison.Ordinal);
            Assert.Contains(file, error.Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task ServerAcceptsAndNeverAnswers_IsGivenUpAndAskedAgain()
    {
        using var silent = new TcpListener(IPAddress.Loopback, 0);
        silent.Start();
        var access = new ApiServerAccess { Server = new Uri($"http://{silent.LocalEndpoint}/") };
        var settings = Settings() with { AnswerTime = TimeSpan.FromMilliseconds(50) };
        await using var source = new FollowedSource(new KubernetesApiSource(access, settings));

        // They stay open: one that ended would be tried again by HttpClient itself, unseen.
        List<TcpClient> asked = [];
        while (!source.Problems.All.Any(static item => item.Message.Contains("no answer within", StringComparison.Ordinal)))
        {
            asked.Add(await silent.AcceptTcpClientAsync());
        }

        asked.ForEach(static client => client.Dispose());
    }

    [Fact]
    public async Task ServerEndsEachWatchAtOnce_IsAskedLessAndLess()
    {
        await StartAsync(new ApiServerOptions { HasStreamingLists = false, EndsWatches = true });
        var clock = new ImpatientClock();
        var settings = Settings() with { Retry = new RetrySettings(TimeSpan.FromSeconds(20), TimeSpan.FromHours(10)), Clock = clock };
        await using var source = new FollowedSource(
            new KubernetesApiSource(new ApiServerAccess { Server = _server!.Address }, settings));
        IReadOnlyList<TimeSpan> pauses = await clock.PausesAsync(count: 10);

        // Services and endpoints are followed each by itself: each pause is twice the one before, and random within a factor of two.
        foreach (double shortest in (double[])[20, 40, 80, 160])
        {
            Assert.InRange(pauses.Count(pause => pause.TotalSeconds >= shortest && pause.TotalSeconds < 2 * shortest), 1, 2);
        }
    }

    [Fact]
    public async Task ServerIsAwayAndBack_ProblemStandsMeanwhileOnly()
    {
        await StartAsync();
        await using FollowedSource source = Follow();
        await source.NextAsync<ServicesListed>();
        await source.NextAsync<EndpointSlicesListed>();
        Assert.Empty(source.Problems.Standing);

        await _server!.StopAsync();
        while (source.Problems.Standing.Count < 2)
        {
            await Task.Yield();
        }

        Assert.All(
            source.Problems.Standing, static problem => Assert.StartsWith("API server, ", problem.Subject, StringComparison.Ordinal));
        await _server.StartAsync();
        while (source.Problems.Standing.Count > 0)
        {
            await Task.Yield();
        }
    }

    private static KubernetesApiSettings Settings() => new()
    {
        Retry = new RetrySettings(TimeSpan.FromMilliseconds(5), TimeSpan.FromMilliseconds(50)),
        AnswerTime = TimeSpan.FromSeconds(3),
    };

    private static string Service(string name, string address = "10.96.0.1", string labels = "{}") => $$"""
        {"kind":"Service","apiVersion":"v1","metadata":{"name":"{{name}}","namespace":"default","labels":{{labels}},
        "managedFields":[{"manager":"x","fieldsV1":{"f:spec":{} } }]},"spec":{"clusterIP":"{{address}}","ports":[{"port":80}]} }
        """;

    private static string Slice(string service) => $$"""
        {"metadata":{"name":"{{service}}-1","namespace":"default","labels":{"kubernetes.io/service-name":"{{service}}"} },
        "addressType":"IPv4","endpoints":[{"addresses":["10.244.0.2"]}],"ports":[{"port":8080}]}
        """;

    private static X509Certificate2 Certificate(string name)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using X509Certificate2 made = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        return X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null, X509KeyStorageFlags.Exportable);
    }

    private string WriteKubeconfig(X509Certificate2 authority, X509Certificate2? client, string serverName)
    {
        string Encode(string pem) => Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(pem));
        string user = client is null
            ? "token: x"
            : $"client-certificate-data: {Encode(client.ExportCertificatePem())}\n    client-key-data: "
                + Encode(client.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem());
        string file = Path.GetTempFileName();
        File.WriteAllText(file, $"""
            apiVersion: v1
            kind: Config
            current-context: here
            contexts:
            - name: here
              context: {"{"}cluster: lab, user: proxy{"}"}
            clusters:
            - name: lab
              cluster:
                server: {_server!.Address}
                tls-server-name: {serverName}
                certificate-authority-data: {Encode(authority.ExportCertificatePem())}
            users:
            - name: proxy
              user:
                {user}
            """);
        return file;
    }

    /// <summary>How often the whole of a list was asked for.</summary>
    private int Lists(string path)
    {
        lock (_server!.Requests)
        {
            return _server.Requests.Count(item => item.StartsWith(path, StringComparison.Ordinal)
                && (item.Contains("sendInitialEvents=", StringComparison.Ordinal)
                    || !item.Contains("watch=true", StringComparison.Ordinal)));
        }
    }

    private async Task StartAsync(ApiServerOptions? options = null)
    {
        _server = new ApiServer(_store, options);
        await _server.StartAsync();
    }

    private FollowedSource Follow() => new(new KubernetesApiSource(new ApiServerAccess { Server = _server!.Address }, Settings()));
}
