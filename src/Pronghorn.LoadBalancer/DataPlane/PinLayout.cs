// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Text.RegularExpressions;
using Pronghorn.Linux.Bpf;

namespace Pronghorn.LoadBalancer.DataPlane;

/// <summary>Where an instance of the balancer keeps its maps and links: one folder of the BPF file system, nothing else.</summary>
public sealed partial class PinLayout
{
    /// <summary>Names the places; makes nothing.</summary>
    /// <param name="instance">Letters, digits, '-' and '_'; at most 64.</param>
    /// <param name="root">Where the BPF file system is mounted, or is to be.</param>
    /// <exception cref="ArgumentException">The instance's name is not allowed.</exception>
    public PinLayout(string instance = "default", string root = BpfFileSystem.DefaultPath)
    {
        if (!InstanceName().IsMatch(instance))
        {
            throw new ArgumentException(
                $"the instance name '{instance}' is not allowed: letters, digits, '-' and '_', at most 64 of them", nameof(instance));
        }

        Root = root;
        Folder = Path.Combine(root, "pronghorn", "lb", instance);
    }

    /// <summary>Where the BPF file system is mounted.</summary>
    public string Root { get; }

    /// <summary>The instance's folder; maps are in it.</summary>
    public string Folder { get; }

    /// <summary>The folder of links.</summary>
    public string Links => Path.Combine(Folder, "links");

    /// <summary>The pin of a map.</summary>
    public string Map(string name) => Path.Combine(Folder, name);

    /// <summary>The pin of a link.</summary>
    public string Link(string name) => Path.Combine(Links, name);

    /// <summary>Mounts the file system, if it is not, and makes the folders.</summary>
    /// <exception cref="BpfException">It cannot be mounted.</exception>
    public void Create()
    {
        BpfFileSystem.EnsureMounted(Root);
        BpfFileSystem.CreateFolder(Links);
    }

    /// <summary>
    /// Removes the folder with all pins, and those above it that are empty then. What is attached only by these pins is detached.
    /// </summary>
    public void Remove() => BpfFileSystem.RemoveFolder(Folder, Root);

    [GeneratedRegex("^[A-Za-z0-9_-]{1,64}$")]
    private static partial Regex InstanceName();
}
