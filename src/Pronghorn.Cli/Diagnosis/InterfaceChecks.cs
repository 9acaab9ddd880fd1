// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using Pronghorn.Linux.Bpf;

namespace Pronghorn.Cli.Diagnosis;

/// <summary>Checks of each interface that Pronghorn could use.</summary>
internal static class InterfaceChecks
{
    /// <summary>Largest MTU whose frame, with the head room that XDP keeps, fits into a frame of 2048 bytes.</summary>
    internal const int MaximumMtu = 2048 - 256 - 18;

    private static readonly string s_steering = Encoding.ASCII.GetString(SteeringProgram.KernelName);

    // Drivers with XDP of their own in the mainline kernel. Others run the program behind the driver (generic mode).
    private static readonly HashSet<string> s_nativeDrivers = new(StringComparer.Ordinal)
    {
        "bnxt_en", "bonding", "cpsw", "dpaa2-eth", "ena", "enetc", "fec", "gve", "hv_netvsc", "i40e", "ice", "igb", "igc",
        "ixgbe", "ixgbevf", "lan966x", "mana", "mlx4_en", "mlx5_core", "mvneta", "mvpp2", "netsec", "nfp", "qede", "sfc",
        "stmmac", "tun", "veth", "virtio_net", "vmxnet3",
    };

    /// <summary>The findings for each interface of Ethernet type that is up, and one where there is none.</summary>
    /// <param name="links">What the kernel lists.</param>
    /// <param name="tool">Runs ethtool with arguments and returns its output, or null where it fails.</param>
    /// <param name="owner">Finds the process that holds an XDP program, by the program's id; null where it cannot be found.</param>
    internal static IEnumerable<Finding> Run(
        IReadOnlyList<NetworkLink> links, Func<string[], string?> tool, Func<int, string?> owner)
    {
        bool any = false;
        foreach (NetworkLink link in links.Where(link => link.IsEthernet && link.IsUp))
        {
            any = true;
            yield return Attachment(link, tool, owner);
            yield return FrameSize(link);
            yield return Queues(link, tool);
            if (link.IsVeth)
            {
                yield return PeerOffloads(link, tool);
            }
        }

        if (!any)
        {
            yield return Finding.Fail(
                "interfaces", "no Ethernet interface is up: there is nothing to run the stack on",
                "ip link set NAME up, or look inside the right network namespace (ip netns exec NAME pronghorn doctor)");
        }
    }

    private static Finding Attachment(NetworkLink link, Func<string[], string?> tool, Func<int, string?> owner)
    {
        string check = $"{link.Name}: XDP";
        if (link.Xdp?.Program is NetworkLinkProgram program)
        {
            return Attached(check, program, owner(program.Id));
        }

        string? driver = Driver(tool(["-i", link.Name]));
        return driver is not null && s_nativeDrivers.Contains(driver)
            ? Finding.Ok(check, $"free; driver {driver} has native XDP")
            : Finding.Warn(
                check, $"free; driver {driver ?? "unknown"} is not known to have native XDP: generic mode will be used, slower",
                "nothing to do, or use a card whose driver has XDP");
    }

    private static Finding Attached(string check, NetworkLinkProgram program, string? owner)
    {
        if (program.Name is null)
        {
            return Finding.Warn(
                check, $"a program is attached (id {program.Id}) whose name only root may read; Pronghorn's own would be no hindrance",
                "run pronghorn doctor as root");
        }

        string holder = owner is null ? "" : $", by {owner}";
        return program.Name == s_steering
            ? Finding.Ok(
                check,
                $"Pronghorn's steering program is attached (id {program.Id}{holder}); "
                + "another program on this interface would run on the kernel's stack")
            : Finding.Fail(
                check,
                $"another program is attached (id {program.Id}, name {program.Name}{holder}); Pronghorn does not replace it",
                $"bpftool prog show id {program.Id} tells whose it is; detach it, or use another interface");
    }

    private static Finding FrameSize(NetworkLink link) => link.Mtu <= MaximumMtu
        ? Finding.Ok($"{link.Name}: MTU", $"{link.Mtu} fits into a frame")
        : Finding.Fail(
            $"{link.Name}: MTU", $"{link.Mtu} does not fit into a frame (at most {MaximumMtu})",
            $"ip link set {link.Name} mtu {MaximumMtu}");

    private static Finding Queues(NetworkLink link, Func<string[], string?> tool)
    {
        int queues = CurrentQueues(tool(["-l", link.Name]));
        return queues <= 1
            ? Finding.Ok($"{link.Name}: queues", "one receive queue")
            : Finding.Warn(
                $"{link.Name}: queues",
                $"{queues} receive queues; one process takes one queue, and only what arrives there",
                $"ethtool -L {link.Name} combined 1 (or rx 1)");
    }

    // On a veth the stack takes a checksum that the peer left unfinished for what it is (StackOptions.AcceptPartialChecksum),
    // and XDP ends the peer's segmentation offload by itself: neither keeps anything from working.
    private static Finding PeerOffloads(NetworkLink link, Func<string[], string?> tool)
    {
        string check = $"{link.Name}: peer's checksums";
        if (link.Peer is null)
        {
            return Finding.Ok(check, "the other end is in another namespace; what it leaves unfinished is accepted, this being a veth");
        }

        string? features = tool(["-k", link.Peer]);
        return features?.Split('\n').Any(line => line.StartsWith("tx-checksumming: off", StringComparison.Ordinal)) == true
            ? Finding.Ok(check, $"{link.Peer} finishes its checksums")
            : Finding.Ok(
                check,
                $"{link.Peer} leaves checksums unfinished, which is accepted, this being a veth "
                + $"(ethtool -K {link.Peer} tx off ends it)");
    }

    private static string? Driver(string? text) =>
        text?.Split('\n')
            .Where(line => line.StartsWith("driver: ", StringComparison.Ordinal))
            .Select(line => line["driver: ".Length..].Trim())
            .FirstOrDefault();

    /// <summary>The larger of the current RX and combined counts that "ethtool -l" prints; 1 where it prints none.</summary>
    internal static int CurrentQueues(string? text)
    {
        int largest = 1;
        bool current = false;
        foreach (string line in (text ?? "").Split('\n'))
        {
            current |= line.StartsWith("Current", StringComparison.Ordinal);
            string[] words = line.Split(':');
            if (current && words.Length == 2 && words[0] is "RX" or "Combined"
                && int.TryParse(words[1].Trim(), out int count))
            {
                largest = Math.Max(largest, count);
            }
        }

        return largest;
    }
}
