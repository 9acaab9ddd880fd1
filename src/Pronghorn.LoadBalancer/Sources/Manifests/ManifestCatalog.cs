// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;

namespace Pronghorn.LoadBalancer.Sources.Manifests;

/// <summary>
/// Which file says what, and who has the word when two say the same thing: the file whose name sorts first. The other takes
/// over when that one lets go.
/// </summary>
internal sealed class ManifestCatalog
{
    private readonly Dictionary<string, ManifestFile> _files = new(StringComparer.Ordinal);
    private readonly Owned<Service> _services = new(static file => file.Services);
    private readonly Owned<EndpointSlice> _slices = new(static file => file.Slices);
    private readonly Owned<Node> _nodes = new(static file => file.Nodes);

    /// <summary>Names of the files known.</summary>
    public IEnumerable<string> FileNames => _files.Keys;

    /// <summary>All services in force.</summary>
    public IReadOnlyList<Service> Services => _services.All;

    /// <summary>All slices in force.</summary>
    public IReadOnlyList<EndpointSlice> Slices => _slices.All;

    /// <summary>All nodes in force.</summary>
    public IReadOnlyList<Node> Nodes => _nodes.All;

    /// <summary>What a file said last; null if it is not known.</summary>
    public ManifestFile? FileOf(string name) => _files.GetValueOrDefault(name);

    /// <summary>Takes what a file says now (null: it is gone) and says what that changes.</summary>
    public IReadOnlyList<ClusterChange> Replace(string name, ManifestFile? file, IProblemSink problems)
    {
        _files.TryGetValue(name, out ManifestFile? before);
        if (file is null)
        {
            _files.Remove(name);
        }
        else
        {
            _files[name] = file;
        }

        List<ClusterChange> changes = [];
        _services.Replace(
            name, before, file, problems, changes, static item => new ServiceApplied(item), static gone => new ServiceRemoved(gone));
        _slices.Replace(
            name,
            before,
            file,
            problems,
            changes,
            static item => new EndpointSliceApplied(item),
            static gone => new EndpointSliceRemoved(gone));

        // A node that is gone from the manifests is still this node: what was known of it stays.
        _nodes.Replace(name, before, file, problems, changes, static item => new NodeApplied(item), static _ => null);
        return changes;
    }

    /// <summary>The objects of one kind, each with the files that claim it.</summary>
    private sealed class Owned<T>(Func<ManifestFile, Dictionary<ObjectName, T>> select)
        where T : class
    {
        private readonly Dictionary<ObjectName, SortedList<string, T>> _claims = [];

        public IReadOnlyList<T> All => [.. _claims.Values.Select(static claims => claims.Values[0])];

        public void Replace(
            string fileName,
            ManifestFile? before,
            ManifestFile? after,
            IProblemSink problems,
            List<ClusterChange> changes,
            Func<T, ClusterChange> applied,
            Func<ObjectName, ClusterChange?> removed)
        {
            foreach (ObjectName name in before is null ? [] : select(before).Keys.ToArray())
            {
                if (after is null || !select(after).ContainsKey(name))
                {
                    Withdraw(fileName, name, problems, changes, applied, removed);
                }
            }

            foreach ((ObjectName name, T item) in after is null ? [] : select(after))
            {
                Claim(fileName, name, item, problems, changes, applied);
            }
        }

        private void Withdraw(
            string fileName,
            ObjectName name,
            IProblemSink problems,
            List<ClusterChange> changes,
            Func<T, ClusterChange> applied,
            Func<ObjectName, ClusterChange?> removed)
        {
            SortedList<string, T> claims = _claims[name];
            bool hadTheWord = claims.Keys[0] == fileName;
            claims.Remove(fileName);
            TellClaims(name, claims, problems);
            if (claims.Count == 0)
            {
                _claims.Remove(name);
                if (removed(name) is ClusterChange change)
                {
                    changes.Add(change);
                }
            }
            else if (hadTheWord)
            {
                changes.Add(applied(claims.Values[0]));
            }
        }

        private void Claim(
            string fileName, ObjectName name, T item, IProblemSink problems, List<ClusterChange> changes, Func<T, ClusterChange> applied)
        {
            if (!_claims.TryGetValue(name, out SortedList<string, T>? claims))
            {
                claims = new SortedList<string, T>(StringComparer.Ordinal);
                _claims.Add(name, claims);
            }

            claims[fileName] = item;
            if (claims.Keys[0] == fileName)
            {
                changes.Add(applied(item));
            }

            TellClaims(name, claims, problems);
        }

        private static void TellClaims(ObjectName name, SortedList<string, T> claims, IProblemSink problems)
        {
            string subject = $"{typeof(T).Name} {name}";
            problems.Replace("claims of " + subject, claims.Count < 2 ? [] :
            [
                new Problem(subject, "metadata.name",
                    $"is in {string.Join(" and ", claims.Keys)}; what {claims.Keys[0]} says counts. Remove the other"),
            ]);
        }
    }
}
