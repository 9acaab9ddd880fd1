// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.Linux.Files;
using Pronghorn.Linux.Interop;
using Pronghorn.LoadBalancer.Cluster;

namespace Pronghorn.LoadBalancer.Sources.Manifests;

/// <summary>
/// A directory of Service, EndpointSlice and Node manifests (*.yaml, *.yml, *.json), followed live. A file counts when its
/// writer has closed it, or when it is moved in; a directory that Kubernetes mounts from a ConfigMap works too.
/// </summary>
public sealed class ManifestDirectory : IClusterSource
{
    /// <summary>Bytes that a file may have.</summary>
    public const long MaximumFileBytes = 256L << 20;

    private const int RetryMilliseconds = 1000;
    private const string Scope = "manifests";

    private readonly string _path;
    private readonly string? _nodeName;
    private ManifestCatalog _catalog = new();

    /// <summary>Makes a source; nothing is read yet.</summary>
    /// <param name="path">The directory.</param>
    /// <param name="nodeName">Name of this node: only its Node object is told of; null: of none.</param>
    public ManifestDirectory(string path, string? nodeName = null)
    {
        _path = Path.GetFullPath(path);
        _nodeName = nodeName;
    }

    /// <inheritdoc/>
    public Task RunAsync(ChannelWriter<ClusterChange> changes, IProblemSink reports, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(changes);
        ArgumentNullException.ThrowIfNull(reports);
        _catalog = new ManifestCatalog();

        // Waiting in poll(2) holds a thread; it is this source's own, so that the pool stays free.
        return Task.Factory.StartNew(
            () => Follow(changes, reports, cancellation), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    private static bool IsManifest(string name) =>
        !name.StartsWith('.') && (name.EndsWith(".yaml", StringComparison.Ordinal) || name.EndsWith(".yml", StringComparison.Ordinal)
            || name.EndsWith(".json", StringComparison.Ordinal));

    private void Follow(ChannelWriter<ClusterChange> changes, IProblemSink reports, CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested)
        {
            int result = DirectoryWatch.Open(_path, out DirectoryWatch? watch);
            if (watch is null)
            {
                reports.Replace(Scope, [new Problem(_path, "", $"cannot watch the directory (error {-result}); it is tried again each "
                    + "second. It must exist, be readable, and fs.inotify.max_user_watches must leave room")]);
                cancellation.WaitHandle.WaitOne(RetryMilliseconds);
                continue;
            }

            reports.Replace(Scope, []);
            using (watch)
            using (cancellation.Register(watch.Wake))
            {
                FollowWatched(watch, changes, reports, cancellation);
            }
        }
    }

    /// <summary>Until the directory is gone or the source is cancelled.</summary>
    private void FollowWatched(
        DirectoryWatch watch, ChannelWriter<ClusterChange> changes, IProblemSink reports, CancellationToken cancellation)
    {
        ReadAll(changes, reports, cancellation);
        List<DirectoryEvent> events = [];
        while (!cancellation.IsCancellationRequested)
        {
            events.Clear();
            int result = watch.Wait(events);
            if (result < 0 || events.Any(static item => item.Kind == DirectoryEventKind.DirectoryGone))
            {
                reports.Replace(Scope, [new Problem(_path, "", "the directory is gone; what it said stays in force until it is back")]);
                cancellation.WaitHandle.WaitOne(RetryMilliseconds);
                return;
            }

            if (events.Any(IsUnclear))
            {
                ReadAll(changes, reports, cancellation);
                continue;
            }

            // A file that was only created is still being written.
            IEnumerable<string> names = events.Where(static item => item.Kind != DirectoryEventKind.Created)
                .Select(static item => item.Name).Where(IsManifest).Distinct(StringComparer.Ordinal);
            foreach (string name in names)
            {
                ReadOne(name, changes, reports, cancellation);
            }
        }
    }

    private bool IsUnclear(DirectoryEvent item) => item.Kind switch
    {
        DirectoryEventKind.Unclear => true,
        DirectoryEventKind.Created => new FileInfo(Path.Combine(_path, item.Name)).LinkTarget is not null,

        // A ConfigMap's files are links through "..data", which is swapped as a whole.
        _ => item.Name == "..data",
    };

    private void ReadOne(string name, ChannelWriter<ClusterChange> changes, IProblemSink reports, CancellationToken cancellation)
    {
        ManifestFile? file = Read(name, reports, out bool isGone);
        if (file is null && !isGone)
        {
            return;
        }

        foreach (ClusterChange change in _catalog.Replace(name, file, reports))
        {
            Send(change, changes, cancellation);
        }
    }

    /// <summary>Reads the whole directory and tells the whole of it.</summary>
    private void ReadAll(ChannelWriter<ClusterChange> changes, IProblemSink reports, CancellationToken cancellation)
    {
        HashSet<string> present = new(StringComparer.Ordinal);
        foreach (string path in Directory.EnumerateFileSystemEntries(_path).OrderBy(static path => path, StringComparer.Ordinal))
        {
            string name = Path.GetFileName(path);
            if (!IsManifest(name))
            {
                continue;
            }

            ManifestFile? file = Read(name, reports, out bool isGone);
            if (isGone)
            {
                continue;
            }

            present.Add(name);
            if (file is not null)
            {
                _ = _catalog.Replace(name, file, reports);
            }
        }

        foreach (string name in _catalog.FileNames.Where(name => !present.Contains(name)).ToArray())
        {
            _ = _catalog.Replace(name, null, reports);
        }

        foreach (Node node in _catalog.Nodes.Where(node => node.Metadata.Name == _nodeName))
        {
            Send(new NodeApplied(node), changes, cancellation);
        }

        Send(new ServicesListed(_catalog.Services), changes, cancellation);
        Send(new EndpointSlicesListed(_catalog.Slices), changes, cancellation);
    }

    private ManifestFile? Read(string name, IProblemSink reports, out bool isGone)
    {
        var found = new ProblemCollector();
        ManifestFile? file = Read(name, found, out isGone);
        reports.Replace("manifest " + name, found.Problems);
        return file;
    }

    private ManifestFile? Read(string name, ProblemCollector found, out bool isGone)
    {
        isGone = false;
        const string Kept = "What it said before stays in force";
        int result = RegularFile.TryOpen(Path.Combine(_path, name), out FileStream? stream);
        if (stream is null)
        {
            isGone = result == -Errno.NoEntry;
            if (!isGone)
            {
                found.Report(new Problem(name, "", result == -Errno.Invalid
                    ? $"is not a regular file, and is not read. {Kept}"
                    : $"cannot be read (error {-result}, errno(3)). {Kept}"));
            }

            return null;
        }

        using (stream)
        {
            if (stream.Length > MaximumFileBytes)
            {
                found.Report(new Problem(name, "", $"{stream.Length} bytes; a manifest file may have {MaximumFileBytes}. Split it"));
                return null;
            }

            try
            {
                using var reader = new StreamReader(stream);
                return ManifestFile.Parse(name, reader.ReadToEnd(), _catalog.FileOf(name), found);
            }
            catch (IOException exception)
            {
                found.Report(new Problem(name, "", $"cannot be read: {exception.Message}. {Kept}"));
                return null;
            }
        }
    }

    private void Send(ClusterChange change, ChannelWriter<ClusterChange> changes, CancellationToken cancellation)
    {
        if (change is NodeApplied node && node.Node.Metadata.Name != _nodeName)
        {
            return;
        }

        try
        {
            while (!changes.TryWrite(change))
            {
                if (!changes.WaitToWriteAsync(cancellation).AsTask().GetAwaiter().GetResult())
                {
                    return;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The source is being ended; nobody reads any more.
        }
    }
}
