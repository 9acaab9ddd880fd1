// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using Pronghorn.Linux.Files;
using Xunit;

namespace Pronghorn.Linux.Tests;

/// <summary>Why a file is not to be had, without its name, which the message has already.</summary>
public sealed class FileFailureTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("failure-").FullName;

    [Theory]
    [InlineData("", "Is a directory")]
    [InlineData("missing", "No such file or directory")]
    [InlineData("missing/file", "No such file or directory")]
    [InlineData("loop", "Too many levels of symbolic links")]
    public void FileThatCannotBeRead_IsDescribed_WithoutItsName(string name, string expected)
    {
        File.CreateSymbolicLink(Path.Combine(_folder, "loop"), "loop");
        AssertDescribed(Path.Combine(_folder, name), expected);
    }

    [Fact]
    public void NameThatIsTooLong_IsDescribed() => AssertDescribed(Path.Combine(_folder, new string('x', 300)), "File name too long");

    // Root may read every file; whoever has no right is told by the same exception.
    [Fact]
    public void FileThatMayNotBeRead_IsDescribed() => Assert.Equal(
        "Permission denied", FileFailure.Describe("/no/such", new UnauthorizedAccessException("Access to the path '/no/such' is denied.")));

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static void AssertDescribed(string path, string expected)
    {
        Exception? failure = Record.Exception(() => File.ReadAllText(path));
        Assert.NotNull(failure);
        Assert.Equal(expected, FileFailure.Describe(path, failure));
    }
}
