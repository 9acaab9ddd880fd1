// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Lab;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Devices.Tests;

/// <summary>
/// The other process of a test: opens a device or builds a lab, says on one line how that went, and holds it until its standard input ends
/// or it is killed.
/// </summary>
internal static class Program
{
    private const int LockedMemory = 8;

    private static int Main(string[] arguments)
    {
        if (arguments[0] == "lab")
        {
            return HoldLab();
        }

        var options = new XdpDeviceOptions();
        if (arguments.Length > 1 && arguments[1] == "little-memory")
        {
            _ = Libc.SetResourceLimit(LockedMemory, new ResourceLimit { Soft = 65536, Hard = 65536 });
        }

        using XdpDevice? device = Report(XdpDevice.Open(arguments[0], options));
        if (device is null)
        {
            return 1;
        }

        _ = Console.In.ReadToEnd();
        return 0;
    }

    private static int HoldLab()
    {
        using TwoHosts hosts = TwoHosts.Create();
        Console.Out.WriteLine("ready");
        Console.Out.Flush();
        _ = Console.In.ReadToEnd();
        return 0;
    }

    private static XdpDevice? Report(XdpOpenResult result)
    {
        Console.Out.WriteLine(result.Succeeded ? "open" : $"{result.Error}: {result.Message}. {result.Advice}");
        Console.Out.Flush();
        return result.Device;
    }
}
