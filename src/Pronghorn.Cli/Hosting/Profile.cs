// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;

namespace Pronghorn.Cli.Hosting;

/// <summary>Where the stack runs.</summary>
internal enum Placement
{
    /// <summary>"rtc", run to completion: in the program's own thread.</summary>
    CoThread,

    /// <summary>"rtw", run to wakeup: in a daemon.</summary>
    Service,
}

/// <summary>A named set of choices for a kind of program.</summary>
/// <param name="Name">What <c>--profile</c> says.</param>
/// <param name="Placement">Where the stack runs.</param>
/// <param name="Programs">Programs that get this profile when none is stated.</param>
internal sealed record Profile(string Name, Placement Placement, IReadOnlyList<string> Programs)
{
    /// <summary>Every profile. A program that no profile names gets the first.</summary>
    internal static IReadOnlyList<Profile> All { get; } =
    [
        new("default", Placement.CoThread, []),
        new("redis", Placement.CoThread, ["redis-server", "redis-cli", "redis-benchmark", "redis-sentinel"]),
        new("memcached", Placement.CoThread, ["memcached"]),
    ];

    /// <summary>The profile that was asked for, or the one for a program.</summary>
    internal static Profile Choose(string? name, string program)
    {
        if (name is not null)
        {
            return All.FirstOrDefault(profile => profile.Name == name)
                ?? throw new CommandException(
                    $"--profile: there is no '{name}'; there are {string.Join(", ", All.Select(profile => profile.Name))}",
                    ExitStatus.Usage);
        }

        return All.FirstOrDefault(profile => profile.Programs.Contains(program)) ?? All[0];
    }

    /// <summary>Reads what <c>--mode</c> says.</summary>
    internal static Placement ParseMode(string mode) => mode switch
    {
        "rtc" => Placement.CoThread,
        "rtw" => Placement.Service,
        _ => throw new CommandException($"--mode: '{mode}' is neither rtc nor rtw", ExitStatus.Usage),
    };
}
