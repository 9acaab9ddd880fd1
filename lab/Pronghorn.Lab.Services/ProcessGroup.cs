// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Linq;

namespace Pronghorn.Lab.Services;

/// <summary>Moves this process into a control group and out of it: a socket belongs to that in which it was opened.</summary>
internal sealed class ProcessGroup : IDisposable
{
    private readonly string _group;
    private readonly string _former;
    private bool _isInside;

    internal ProcessGroup(string group)
    {
        _group = group;
        string own = File.ReadLines("/proc/self/cgroup").First(line => line.StartsWith("0::", StringComparison.Ordinal))[3..];
        _former = Path.GetDirectoryName(group) + own.TrimEnd('/');
    }

    public void Dispose() => SetInside(false);

    internal void SetInside(bool isInside)
    {
        if (isInside == _isInside)
        {
            return;
        }

        string folder = isInside ? _group : _former;
        File.WriteAllText(Path.Combine(folder, "cgroup.procs"), Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
        _isInside = isInside;
    }
}
