// SPDX-License-Identifier: Apache-2.0
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
/// <param name="Settings">Variables for the preload library.</param>
internal sealed record Profile(
    string Name, Placement Placement, IReadOnlyList<KeyValuePair<string, string>> Settings)
{
    /// <summary>How long a wait polls before it blocks, in microseconds.</summary>
    private const string SpinVariable = "PRONGHORN_SPIN_US";

    /// <summary>Every profile; the first is the one that is used when none is stated.</summary>
    internal static IReadOnlyList<Profile> All { get; } =
    [
        new("default", Placement.CoThread, []),

        // For a CPU that the program has for itself: pauses of a millisecond are spent polling.
        new("latency", Placement.CoThread, [new(SpinVariable, "1000")]),

        // For a CPU shared with others: a wait blocks at once.
        new("gentle", Placement.CoThread, [new(SpinVariable, "0")]),
    ];

    /// <summary>The profile of a name; the first for null.</summary>
    internal static Profile Choose(string? name) => name is null
        ? All[0]
        : All.FirstOrDefault(profile => profile.Name == name)
            ?? throw new CommandException(
                $"--profile: there is no '{name}'; there are {string.Join(", ", All.Select(profile => profile.Name))}",
                ExitStatus.Usage);

    /// <summary>Reads what <c>--mode</c> says.</summary>
    internal static Placement ParseMode(string mode) => mode switch
    {
        "rtc" => Placement.CoThread,
        "rtw" => Placement.Service,
        _ => throw new CommandException($"--mode: '{mode}' is neither rtc nor rtw", ExitStatus.Usage),
    };
}
