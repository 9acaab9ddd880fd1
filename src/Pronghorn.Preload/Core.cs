// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.IO;
using System.Runtime.InteropServices;
using System.Text;
using Pronghorn.Devices;
using Pronghorn.Posix;
using Pronghorn.Runtime;
using Pronghorn.Runtime.Statistics;
using Pronghorn.Wire;

namespace Pronghorn.Preload;

/// <summary>Opens the shard and the socket layer of this process.</summary>
internal static unsafe class Core
{
    /// <summary>Starts.</summary>
    /// <returns>The layer, or null with the reason in the request's error buffer: what failed, a line feed, what to do.</returns>
    public static SocketLayer? Start(StartRequest* request)
    {
        if (request->Abi != Abi.Version)
        {
            return Fail(request, "libpronghorn.so and libpronghorn-core.so are of different versions", "Install both from one build.");
        }

        string? name = Marshal.PtrToStringUTF8((nint)request->Interface);
        if (string.IsNullOrEmpty(name))
        {
            IpAddress address = IpAddress.ReadIpv4(new ReadOnlySpan<byte>(&request->Address, sizeof(uint)));
            name = InterfaceChoice.Choose(address, request->IsPeer != 0);
            if (name is null)
            {
                return Fail(request, $"no network interface leads to {address}", "Name one by PRONGHORN_INTERFACE.");
            }
        }

        var options = new ShardOptions { Device = new XdpDeviceOptions { FrameCount = FrameCount() } };
        XdpOpenResult opened = Shard.Open(name, options, out Shard? shard);
        if (shard is null)
        {
            return Fail(request, opened.Message, opened.Advice);
        }

        request->WaitDescriptors[0] = shard.Device.FileDescriptor;
        request->WaitDescriptors[1] = shard.Mirror.FileDescriptor;
        StatisticsPublisher? statistics = StatisticsPublisher.Create(shard, request->Counters, out string reason);
        if (statistics is null)
        {
            Fail(
                request,
                $"this program shows in no statistics ({reason})",
                "Run one program as root, which makes " + StatisticsPage.Directory + " for all, or set XDG_RUNTIME_DIR.");
        }

        request->HeldCount = shard.GetDescriptors(new Span<int>(request->Held, Abi.MostHeld));
        var layer = new SocketLayer(
            new PreloadKernel(*request->Kernel),
            new ShardDriver(shard, new DeviceNotice(shard, name, *request->Kernel), statistics),
            request->Descriptors,
            new ReadOnlySpan<int>(request->WaitDescriptors, 2),
            request->InternalData);
        UseKernelsPorts(layer);
        return layer;
    }

    private static void UseKernelsPorts(SocketLayer layer)
    {
        const string Path = "/proc/sys/net/ipv4/ip_local_port_range";
        string[] words = File.Exists(Path) ? File.ReadAllText(Path).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries) : [];
        if (words.Length == 2
            && ushort.TryParse(words[0], NumberStyles.None, CultureInfo.InvariantCulture, out ushort first)
            && ushort.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out ushort last)
            && first > 0 && first <= last)
        {
            layer.UseLocalPorts(first, last);
        }
    }

    /// <summary>Tells the caller why there is no stack.</summary>
    public static SocketLayer? Fail(StartRequest* request, string message, string advice)
    {
        var buffer = new Span<byte>(request->Error, request->ErrorLength);
        byte[] text = Encoding.UTF8.GetBytes(message + "\n" + advice);
        int length = Math.Min(text.Length, buffer.Length - 1);
        text.AsSpan(0, length).CopyTo(buffer);
        buffer[length] = 0;
        return null;
    }

    private static int FrameCount()
    {
        string? text = Environment.GetEnvironmentVariable(XdpDeviceOptions.FrameCountVariable);
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int count)
            ? count
            : XdpDeviceOptions.DefaultFrameCount;
    }
}
