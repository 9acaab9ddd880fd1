// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using Pronghorn.LoadBalancer.Daemon;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Daemon;

public sealed class RuntimePathsTests : IDisposable
{
    private readonly RuntimePaths _paths = new("test", Directory.CreateTempSubdirectory("lb-run-").FullName);

    public void Dispose() => Directory.Delete(_paths.Folder, recursive: true);

    [Fact]
    public void Lock_HeldOrNot_TellsItsHolder()
    {
        Assert.Null(_paths.FindHolder());
        using (var held = new FileStream(_paths.LockFile, FileMode.Create, FileAccess.ReadWrite, FileShare.None))
        {
            held.Write("4711\n"u8);
            held.Flush();
            Assert.Equal(4711, _paths.FindHolder());
        }

        Assert.Null(_paths.FindHolder());
    }
}
