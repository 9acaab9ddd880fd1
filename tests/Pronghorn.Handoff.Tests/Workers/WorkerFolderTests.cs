// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using Pronghorn.Handoff.Configuration;
using Pronghorn.Handoff.Workers;
using Xunit;

namespace Pronghorn.Handoff.Tests.Workers;

public sealed class WorkerFolderTests : IDisposable
{
    private readonly string _folder = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void GroupThatIsNone_IsNamed() => Assert.Contains(
        "no group \"no-such-group\"",
        Assert.Throws<HandoffConfigurationException>(() => WorkerFolder.Prepare(_folder, "no-such-group")).Message,
        StringComparison.Ordinal);

    [Fact]
    public void Group_HasTheFolder_AlsoTheSecondTime()
    {
        WorkerFolder.Prepare(_folder, "www-data");
        WorkerFolder.Prepare(_folder, "www-data");
        Assert.Equal(
            UnixFileMode.SetGroup | UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
            | UnixFileMode.GroupRead | UnixFileMode.GroupExecute,
            File.GetUnixFileMode(_folder));
    }

    [Fact]
    public void NoGroup_FolderIsTheOwnersAndItsGroups()
    {
        WorkerFolder.Prepare(_folder, "");
        Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute,
            File.GetUnixFileMode(_folder));
    }
}
