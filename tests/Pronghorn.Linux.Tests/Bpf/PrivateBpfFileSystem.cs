// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using Pronghorn.Lab;
using Pronghorn.Linux.Bpf;

namespace Pronghorn.Linux.Tests.Bpf;

/// <summary>A BPF file system of a test's own, unmounted and removed at its end.</summary>
public sealed class PrivateBpfFileSystem : IDisposable
{
    public PrivateBpfFileSystem() => BpfFileSystem.EnsureMounted(Root);

    public string Root { get; } = Directory.CreateTempSubdirectory("pronghorn-bpf-").FullName;

    public string this[string name] => Path.Combine(Root, name);

    public void Dispose()
    {
        LabCommand.Run("umount", Root);
        Directory.Delete(Root);
    }
}
