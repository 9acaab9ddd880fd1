// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Runtime.Statistics;

/// <summary>
/// Where pages are: in the directory that the first program that runs as root makes for everybody, or in a directory of the
/// user's own while there is none.
/// </summary>
public static class StatisticsPlaces
{
    /// <summary>Permissions of the directory for everybody: 01777, as /tmp has.</summary>
    internal const int SharedMode = 0x3ff;

    /// <summary>Permissions of a user's own: 0700.</summary>
    internal const int OwnMode = 0x1c0;

    private const string Users = "/run/user";
    private const string Name = "pronghorn";

    /// <summary>A user's own directory; null when the user has no runtime directory.</summary>
    /// <param name="runtimeDirectory">$XDG_RUNTIME_DIR.</param>
    /// <param name="user">The user's id.</param>
    /// <param name="usersDirectory">Where users' runtime directories are.</param>
    public static string? OwnDirectory(string? runtimeDirectory, uint user, string usersDirectory = Users)
    {
        string usual = Path.Combine(usersDirectory, user.ToString(CultureInfo.InvariantCulture));
        string? place = Path.IsPathFullyQualified(runtimeDirectory ?? "") ? runtimeDirectory
            : Directory.Exists(usual) ? usual : null;
        return place is null ? null : Path.Combine(place, Name);
    }

    /// <summary>Where this process tries to make its page, in order.</summary>
    public static IReadOnlyList<string> ForWriting()
    {
        string? own = OwnDirectory(Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR"), Libc.GetEffectiveUser());
        return own is null ? [StatisticsPage.Directory] : [StatisticsPage.Directory, own];
    }

    /// <summary>
    /// Where this process may remove the pages of killed programs. A user can make the own directory a link to any other,
    /// in which root would then remove files: root stays out of them.
    /// </summary>
    public static IReadOnlyList<string> ForCleaning() =>
        Libc.GetEffectiveUser() == 0 ? [StatisticsPage.Directory] : ForWriting();

    /// <summary>Where this process looks for pages: root looks at every user's.</summary>
    public static IReadOnlyList<string> ForReading()
    {
        List<string> places = [.. ForWriting()];
        if (Libc.GetEffectiveUser() == 0 && Directory.Exists(Users))
        {
            foreach (string user in Directory.EnumerateDirectories(Users))
            {
                string place = Path.Combine(user, Name);
                if (!places.Contains(place))
                {
                    places.Add(place);
                }
            }
        }

        return places;
    }
}
