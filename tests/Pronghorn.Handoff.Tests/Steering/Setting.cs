// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Lab;

namespace Pronghorn.Handoff.Tests.Steering;

/// <summary>A setting of a namespace, for a while.</summary>
internal sealed class Setting : IDisposable
{
    private readonly NetworkNamespace _place;
    private readonly string _name;
    private readonly string _before;

    public Setting(NetworkNamespace place, string name, string value)
    {
        (_place, _name) = (place, name);
        _before = place.Run("sysctl", "-n", name).Trim();
        place.Run("sysctl", "-qw", $"{name}={value}");
    }

    public void Dispose() => _place.Run("sysctl", "-qw", $"{_name}={_before}");
}
