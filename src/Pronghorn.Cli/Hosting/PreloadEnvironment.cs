// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;

namespace Pronghorn.Cli.Hosting;

/// <summary>The environment that puts a program on the stack.</summary>
internal static class PreloadEnvironment
{
    /// <summary>The variables to set for a program, in a stable order.</summary>
    /// <param name="libraryDirectory">Where both libraries are.</param>
    /// <param name="interfaceName">The interface to use, or null for every suitable one.</param>
    /// <param name="strict">Whether a socket that would fall back to the kernel is an error.</param>
    /// <param name="settings">Variables of the profile; what the caller's environment has already goes before them.</param>
    /// <param name="inheritedPreload">LD_PRELOAD of the caller, which is kept behind ours.</param>
    internal static IReadOnlyList<KeyValuePair<string, string>> Create(
        string libraryDirectory, string? interfaceName, bool strict,
        IReadOnlyList<KeyValuePair<string, string>> settings, string? inheritedPreload)
    {
        string preload = Path.Combine(libraryDirectory, InstallLayout.PreloadName);
        if (!string.IsNullOrEmpty(inheritedPreload))
        {
            preload = $"{preload}:{inheritedPreload}";
        }

        List<KeyValuePair<string, string>> variables =
        [
            new("LD_PRELOAD", preload),
            new("PRONGHORN_LIBRARY_PATH", Path.Combine(libraryDirectory, InstallLayout.CoreName)),
        ];
        if (interfaceName is not null)
        {
            variables.Add(new("PRONGHORN_INTERFACE", interfaceName));
        }

        if (strict)
        {
            variables.Add(new("PRONGHORN_STRICT", "1"));
        }

        foreach (KeyValuePair<string, string> setting in settings)
        {
            if (Environment.GetEnvironmentVariable(setting.Key) is null)
            {
                variables.Add(setting);
            }
        }

        return variables;
    }

    /// <summary>LD_PRELOAD as the caller has it.</summary>
    internal static string? InheritedPreload => Environment.GetEnvironmentVariable("LD_PRELOAD");
}
