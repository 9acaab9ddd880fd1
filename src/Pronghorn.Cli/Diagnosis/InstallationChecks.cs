// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Pronghorn.Cli.Hosting;

namespace Pronghorn.Cli.Diagnosis;

/// <summary>Checks of what has to be installed beside the command line.</summary>
internal static class InstallationChecks
{
    internal static IEnumerable<Finding> Run()
    {
        string? directory = InstallLayout.FindLibraryDirectory();
        yield return directory is not null
            ? Finding.Ok("libpronghorn", directory)
            : Finding.Fail(
                "libpronghorn",
                $"{InstallLayout.PreloadName} or {InstallLayout.CoreName} is missing in {string.Join(", ", InstallLayout.Candidates())}",
                $"eng/build.sh, or set {InstallLayout.DirectoryVariable}");

        yield return HasLibrary("libbpf.so.1")
            ? Finding.Ok("libbpf", "libbpf.so.1 loads")
            : Finding.Fail("libbpf", "libbpf.so.1 does not load", "apt-get install libbpf1");
    }

    private static bool HasLibrary(string name)
    {
        if (!NativeLibrary.TryLoad(name, out nint handle))
        {
            return false;
        }

        NativeLibrary.Free(handle);
        return true;
    }
}
