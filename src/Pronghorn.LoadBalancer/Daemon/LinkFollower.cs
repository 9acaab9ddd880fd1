// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO.Pipes;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Netlink;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>Says when interfaces have come, gone or been renamed, and when addresses of either family have come or gone.</summary>
internal static class LinkFollower
{
    private const short PollIn = 1;

    /// <summary>Follows the interfaces of the calling thread's network namespace on a thread of its own.</summary>
    /// <param name="linksChanged">Is called on that thread; null for nobody.</param>
    /// <param name="addressesChanged">The same for addresses.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="BpfException">The kernel does not tell.</exception>
    public static Task RunAsync(Action? linksChanged, Action? addressesChanged, CancellationToken cancellation)
    {
        int result = RouteMonitor.Open(out RouteMonitor? monitor, announcesIpv6Addresses: true);
        if (monitor is null)
        {
            throw new BpfException(BpfStep.Open, "the list of interfaces (rtnetlink)", -result);
        }

        return Task.Factory.StartNew(
            () => Follow(monitor, linksChanged, addressesChanged, cancellation),
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default);
    }

    private static void Follow(
        RouteMonitor monitor, Action? linksChanged, Action? addressesChanged, CancellationToken cancellation)
    {
        using (monitor)
        using (var wake = new AnonymousPipeServerStream(PipeDirection.Out))
        using (var woken = new AnonymousPipeClientStream(PipeDirection.In, wake.ClientSafePipeHandle))
        using (cancellation.Register(() => wake.WriteByte(0)))
        {
            var known = new Dictionary<int, string>();
            Span<PollDescriptor> waiting = stackalloc PollDescriptor[2];
            while (!cancellation.IsCancellationRequested)
            {
                (bool links, bool addresses) = Drain(monitor, known);
                if (links)
                {
                    linksChanged?.Invoke();
                }

                // An interface takes its addresses along, and brings them, without a word of each.
                if (links || addresses)
                {
                    addressesChanged?.Invoke();
                }

                waiting[0] = new PollDescriptor { Descriptor = monitor.FileDescriptor, Events = PollIn };
                waiting[1] = new PollDescriptor { Descriptor = (int)woken.SafePipeHandle.DangerousGetHandle(), Events = PollIn };
                Libc.Poll(waiting, timeoutMilliseconds: -1);
            }
        }
    }

    /// <summary>Takes what waits; whether an interface that was not known under its name is among it, or one has gone.</summary>
    private static (bool Links, bool Addresses) Drain(RouteMonitor monitor, Dictionary<int, string> known)
    {
        bool changed = false;
        bool addresses = false;
        while (monitor.TryReceive(out NetlinkEvent item))
        {
            switch (item.Kind)
            {
                case NetlinkEventKind.Link:
                    string name = item.Link.Name.ToString();
                    changed |= !known.TryGetValue(item.Link.Index, out string? before) || before != name;
                    known[item.Link.Index] = name;
                    break;
                case NetlinkEventKind.LinkRemoved:
                    changed |= known.Remove(item.Link.Index);
                    break;
                case NetlinkEventKind.Address or NetlinkEventKind.AddressRemoved or NetlinkEventKind.SnapshotStarted:
                    addresses = true;
                    break;
            }
        }

        return (changed, addresses);
    }
}
