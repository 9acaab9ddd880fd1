// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Linq;
using System.Threading.Tasks;
using Pronghorn.Lab;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.Sources.Manifests;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Sources;

public sealed class ManifestDirectoryTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("manifests-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Start_FilesOfBothFormats_TellsTheWholeFirst()
    {
        Write("web.yaml", ServiceYaml("web", "10.96.0.1") + "---\n" + SliceYaml("web"));
        Write("cart.json", """{"apiVersion":"v1","kind":"Service","metadata":{"name":"cart"},"spec":{"clusterIP":"10.96.0.2"}}""");
        Write("notes.txt", "not a manifest");
        await using FollowedSource source = Follow();

        ServicesListed services = await source.NextAsync<ServicesListed>();
        EndpointSlicesListed slices = await source.NextAsync<EndpointSlicesListed>();

        Assert.Equal(["cart", "web"], services.Services.Select(static item => item.Metadata.Name).Order());
        Assert.All(services.Services, static item => Assert.Equal("default", item.Metadata.Namespace));
        EndpointSlice slice = Assert.Single(slices.Slices);
        Assert.Equal("10.244.0.2", slice.Endpoints![0].Addresses![0]);
        Assert.Empty(source.Problems.All);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task NamedPipe_ThereOrMovedIn_IsAProblemAndTheRestIsFollowed(bool isThereFirst)
    {
        string outside = Path.Combine(Directory.CreateTempSubdirectory("pipe-").FullName, "pipe");
        LabCommand.Run("mkfifo", outside);
        if (isThereFirst)
        {
            File.Move(outside, Path.Combine(_folder, "a.yaml"));
        }

        await using FollowedSource source = Follow();
        await source.NextAsync<EndpointSlicesListed>();
        if (!isThereFirst)
        {
            File.Move(outside, Path.Combine(_folder, "a.yaml"));
        }

        Write("web.yaml", ServiceYaml("web", "10.96.0.1"));

        Assert.Equal("web", (await source.NextAsync<ServiceApplied>()).Service.Metadata.Name);
        Problem problem = Assert.Single(source.Problems.Standing);
        Assert.Equal("a.yaml: is not a regular file, and is not read. What it said before stays in force", problem.ToString());
        Directory.Delete(Path.GetDirectoryName(outside)!);
    }

    [Fact]
    public async Task WrongFileMendedAndDoubleObjectRemoved_NoProblemStands()
    {
        Write("a.yaml", ServiceYaml("web", "10.96.0.1"));
        Write("b.yaml", "a: [");
        Write("c.yaml", ServiceYaml("web", "10.96.0.3"));
        await using FollowedSource source = Follow();
        await source.NextAsync<EndpointSlicesListed>();
        Assert.Equal(2, source.Problems.Standing.Count);

        Write("b.yaml", ServiceYaml("cart", "10.96.0.2"));
        await source.NextAsync<ServiceApplied>();
        Assert.Equal("Service default/web", Assert.Single(source.Problems.Standing).Subject);
        File.Delete(Path.Combine(_folder, "a.yaml"));
        Assert.Equal("10.96.0.3", (await source.NextAsync<ServiceApplied>()).Service.Spec.ClusterIP);
        Assert.Empty(source.Problems.Standing);
    }

    [Fact]
    public async Task Change_FileRewritten_TellsOnlyOfThatObject()
    {
        Write("web.yaml", ServiceYaml("web", "10.96.0.1"));
        await using FollowedSource source = Follow();
        await source.NextAsync<EndpointSlicesListed>();

        Write("web.yaml", ServiceYaml("web", "10.96.0.9"));

        var applied = Assert.IsType<ServiceApplied>(await source.NextAsync());
        Assert.Equal("10.96.0.9", applied.Service.Spec.ClusterIP);
    }

    [Fact]
    public async Task Change_FileBeingWritten_CountsOnlyWhenClosed()
    {
        await using FollowedSource source = Follow();
        await source.NextAsync<EndpointSlicesListed>();
        using (StreamWriter writer = File.CreateText(Path.Combine(_folder, "web.yaml")))
        {
            // A valid manifest by itself, but only half of what is meant.
            await writer.WriteAsync(ServiceYaml("half", "10.96.0.1"));
            await writer.FlushAsync();

            // Later, and told first.
            Write("other.yaml", ServiceYaml("other", "10.96.0.3"));
            Assert.Equal("other", Assert.IsType<ServiceApplied>(await source.NextAsync()).Service.Metadata.Name);
            await writer.WriteAsync("---\n" + ServiceYaml("whole", "10.96.0.2"));
        }

        var first = Assert.IsType<ServiceApplied>(await source.NextAsync());
        var second = Assert.IsType<ServiceApplied>(await source.NextAsync());

        Assert.Equal(["half", "whole"], [first.Service.Metadata.Name, second.Service.Metadata.Name]);
    }

    [Fact]
    public async Task Change_FileMovedInAndRemoved_TellsBoth()
    {
        await using FollowedSource source = Follow();
        await source.NextAsync<EndpointSlicesListed>();
        Write(".web.tmp", ServiceYaml("web", "10.96.0.1"));

        File.Move(Path.Combine(_folder, ".web.tmp"), Path.Combine(_folder, "web.yaml"));
        Assert.IsType<ServiceApplied>(await source.NextAsync());
        File.Delete(Path.Combine(_folder, "web.yaml"));

        var removed = Assert.IsType<ServiceRemoved>(await source.NextAsync());
        Assert.Equal(new ObjectName("default", "web"), removed.Name);
    }

    [Fact]
    public async Task Change_FileThatDoesNotParse_KeepsWhatItSaidAndNamesTheLine()
    {
        Write("web.yaml", ServiceYaml("web", "10.96.0.1"));
        await using FollowedSource source = Follow();
        await source.NextAsync<EndpointSlicesListed>();

        Write("web.yaml", "kind: Service\nmetadata: [unclosed\n");
        Write("other.yaml", ServiceYaml("other", "10.96.0.3"));

        var next = Assert.IsType<ServiceApplied>(await source.NextAsync());
        Assert.Equal("other", next.Service.Metadata.Name);
        Problem problem = Assert.Single(source.Problems.All);
        Assert.StartsWith("web.yaml:", problem.Subject, StringComparison.Ordinal);
        Assert.Contains("stays in force", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Change_OneFieldOfAWrongType_NamesFieldAndLineAndKeepsTheRest()
    {
        Write("web.yaml", ServiceYaml("web", "10.96.0.1"));
        await using FollowedSource source = Follow();
        await source.NextAsync<EndpointSlicesListed>();

        Write("web.yaml", ServiceYaml("web", "10.96.0.1").Replace("port: 80", "port: eighty", StringComparison.Ordinal)
            + "---\n" + ServiceYaml("new", "10.96.0.2"));

        string?[] told = [Name(await source.NextAsync()), Name(await source.NextAsync())];
        Assert.Equal(["new", "web"], told.Order());
        Problem problem = Assert.Single(source.Problems.All);
        Assert.Equal("spec.ports[0].port", problem.Field);
        Assert.Equal("web.yaml:8", problem.Subject);
    }

    [Fact]
    public async Task Change_SameObjectInTwoFiles_FirstFileCountsAndTheOtherTakesOver()
    {
        Write("a.yaml", ServiceYaml("web", "10.96.0.1"));
        Write("b.yaml", ServiceYaml("web", "10.96.0.2"));
        await using FollowedSource source = Follow();
        ServicesListed services = await source.NextAsync<ServicesListed>();
        await source.NextAsync<EndpointSlicesListed>();

        Assert.Equal("10.96.0.1", Assert.Single(services.Services).Spec.ClusterIP);
        Assert.Contains("a.yaml and b.yaml", Assert.Single(source.Problems.All).Message, StringComparison.Ordinal);
        File.Delete(Path.Combine(_folder, "a.yaml"));

        var applied = Assert.IsType<ServiceApplied>(await source.NextAsync());
        Assert.Equal("10.96.0.2", applied.Service.Spec.ClusterIP);
    }

    [Fact]
    public async Task Change_ConfigMapFolderSwapped_ReadsAllAgain()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "..v1"));
        Directory.CreateDirectory(Path.Combine(_folder, "..v2"));
        await File.WriteAllTextAsync(Path.Combine(_folder, "..v1", "web.yaml"), ServiceYaml("web", "10.96.0.1"));
        await File.WriteAllTextAsync(Path.Combine(_folder, "..v2", "web.yaml"), ServiceYaml("web", "10.96.0.2"));
        Directory.CreateSymbolicLink(Path.Combine(_folder, "..data"), "..v1");
        File.CreateSymbolicLink(Path.Combine(_folder, "web.yaml"), "..data/web.yaml");
        await using FollowedSource source = Follow();
        ServicesListed before = await source.NextAsync<ServicesListed>();

        Directory.CreateSymbolicLink(Path.Combine(_folder, "..data_tmp"), "..v2");
        LabCommand.Run("mv", "-T", Path.Combine(_folder, "..data_tmp"), Path.Combine(_folder, "..data"));

        ServicesListed after = await source.NextAsync<ServicesListed>();
        while (after.Services[0].Spec.ClusterIP == "10.96.0.1")
        {
            after = await source.NextAsync<ServicesListed>();
        }

        Assert.Equal("10.96.0.1", before.Services[0].Spec.ClusterIP);
        Assert.Equal("10.96.0.2", after.Services[0].Spec.ClusterIP);
    }

    [Fact]
    public async Task Start_DirectoryMissing_ReportsAndWaitsForIt()
    {
        string late = Path.Combine(_folder, "late");
        await using var source = new FollowedSource(new ManifestDirectory(late));
        while (source.Problems.All.Count == 0)
        {
            await Task.Yield();
        }

        Directory.CreateDirectory(late);

        Assert.Empty((await source.NextAsync<ServicesListed>()).Services);
    }

    [Theory]
    [InlineData("apiVersion: v1\nkind: Service\nmetadata: {}\n", "metadata", "no name")]
    [InlineData("apiVersion: v2\nkind: Service\nmetadata: {name: x}\n", "apiVersion", "not known")]
    [InlineData("metadata: {name: x}\n", "", "no kind")]
    [InlineData("- 1\n", "", "not an object")]
    public void Parse_WrongObject_SaysWhat(string text, string field, string message)
    {
        var problems = new CollectedProblems();

        ManifestFile? file = ManifestFile.Parse("x.yaml", text, null, problems);

        Assert.Empty(file!.Services);
        Problem problem = Assert.Single(problems.All);
        Assert.StartsWith(field, problem.Field, StringComparison.Ordinal);
        Assert.Contains(message, problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_TypedListAndOtherKinds_TakesItemsAndPassesOverTheRest()
    {
        var problems = new CollectedProblems();
        const string Text = """
            apiVersion: v1
            kind: ServiceList
            items:
            - apiVersion: v1
              metadata: {name: a, namespace: shop}
            - metadata: {name: b, namespace: shop}
            ---
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: c}
            """;

        ManifestFile? file = ManifestFile.Parse("x.yaml", Text, null, problems);

        Assert.Equal(["a", "b"], file!.Services.Keys.Select(static name => name.Name));
        Assert.Empty(problems.All);
    }

    [Fact]
    public void Parse_NestedTooDeep_IsAnErrorAndNotACrash()
    {
        var problems = new CollectedProblems();

        Assert.Null(ManifestFile.Parse("x.yaml", new string('[', 100_000), null, problems));
        Assert.Contains("deep", Assert.Single(problems.All).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_AliasesThatExpandWithoutEnd_IsAnError()
    {
        string text = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
        for (char name = 'b'; name <= 'k'; name++)
        {
            char before = (char)(name - 1);
            text += $"{name}: &{name} [{string.Join(',', Enumerable.Repeat($"*{before}", 10))}]\n";
        }

        var problems = new CollectedProblems();

        Assert.Null(ManifestFile.Parse("x.yaml", text, null, problems));
        Assert.Contains("aliases", Assert.Single(problems.All).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("80", "80")]
    [InlineData("0x50", "80")]
    [InlineData("0o120", "80")]
    [InlineData("-1", "-1")]
    [InlineData("10.0.0.1", "\"10.0.0.1\"")]
    [InlineData("1.5", "1.5")]
    [InlineData("\"80\"", "\"80\"")]
    [InlineData("'true'", "\"true\"")]
    [InlineData("true", "true")]
    [InlineData("yes", "\"yes\"")]
    [InlineData("~", "null")]
    [InlineData("", "null")]
    [InlineData("!!str 80", "\"80\"")]
    [InlineData("fd00:10::1", "\"fd00:10::1\"")]
    [InlineData("1e3", "1000")]
    [InlineData("e", "\"e\"")]
    public void Read_Scalar_IsTheValueOfTheCoreSchema(string yaml, string json)
    {
        ManifestDocument document = Assert.Single(YamlDocuments.Read($"a: {yaml}\n"));

        Assert.Equal($$"""{"a":{{json}}}""", System.Text.Encoding.UTF8.GetString(document.Json.Span));
    }

    private static string? Name(ClusterChange change) => (change as ServiceApplied)?.Service.Metadata.Name;

    private static string ServiceYaml(string name, string address) => $"""
        apiVersion: v1
        kind: Service
        metadata:
          name: {name}
        spec:
          clusterIP: {address}
          ports:
          - port: 80

        """;

    private static string SliceYaml(string service) => $"""
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata:
          name: {service}-1
          labels: {"{"}kubernetes.io/service-name: {service}{"}"}
        addressType: IPv4
        endpoints:
        - addresses: [10.244.0.2]
        ports:
        - port: 8080

        """;

    private FollowedSource Follow() => new(new ManifestDirectory(_folder));

    private void Write(string name, string text) => File.WriteAllText(Path.Combine(_folder, name), text);
}
