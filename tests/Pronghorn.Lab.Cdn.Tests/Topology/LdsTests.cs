// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
using System.IO;
using System.Net;
using Pronghorn.Lab.Cdn.Servers;
using Pronghorn.Lab.Cdn.Topology;
using Xunit;

namespace Pronghorn.Lab.Cdn.Tests.Topology;

/// <summary>The dispatch server follows its file.</summary>
public sealed class LdsTests : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(15);

    private readonly string _folder = Directory.CreateTempSubdirectory("lds-").FullName;
    private readonly BlockingCollection<string> _said = [];

    private string FilePath => Path.Combine(_folder, "pop_struct.conf");

    [Fact]
    public void File_IsFollowed_AndAWrongOneChangesNothing()
    {
        File.WriteAllText(FilePath, "node = a 10.0.0.1\n");
        using var server = new LdsServer(FilePath, new IPEndPoint(IPAddress.Loopback, 0), _said.Add);
        Assert.Equal("a", server.Find("x").Name);

        Replace("node = b 10.0.0.2\n");
        Assert.Contains("1 nodes", Said(), StringComparison.Ordinal);
        Assert.Equal("b", server.Find("x").Name);

        Replace("node = c 10.0.0.3\nnode = c\n");
        string said = Said();
        Assert.Contains("pop_struct.conf:2: ", said, StringComparison.Ordinal);
        Assert.Contains("stay as they were", said, StringComparison.Ordinal);
        Assert.Equal("b", server.Find("x").Name);
    }

    [Fact]
    public void FirstFile_MustBeRight() => Assert.Throws<PopStructureException>(
        () => new LdsServer(FilePath, new IPEndPoint(IPAddress.Loopback, 0), _said.Add));

    /// <inheritdoc/>
    public void Dispose()
    {
        _said.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private void Replace(string text)
    {
        File.WriteAllText(FilePath + ".new", text);
        File.Move(FilePath + ".new", FilePath, overwrite: true);
    }

    private string Said()
    {
        Assert.True(_said.TryTake(out string? said, s_patience));
        return said;
    }
}
