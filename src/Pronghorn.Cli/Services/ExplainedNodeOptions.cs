// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.CommandLine;
using System.Linq;
using System.Net.NetworkInformation;
using Pronghorn.LoadBalancer.Table;
using Pronghorn.Wire;

namespace Pronghorn.Cli.Services;

/// <summary>The options that say what node a flow is explained for; without them it is this machine.</summary>
internal sealed class ExplainedNodeOptions
{
    private readonly Option<string?> _name = new("--node") { Description = "Name of the node (default: this host's)." };

    private readonly Option<string?> _zone = new("--zone") { Description = "Zone of the node (default: from its object)." };

    private readonly Option<string[]> _addresses = Many("--node-address", "Address of the node (default: this host's).");

    private readonly Option<string[]> _pods = Many("--pod-cidr", "Range of the cluster's pods, as 10.0.0.0/8.");

    private readonly Option<string[]> _nodePorts = Many("--node-port-addresses", "Range in which node ports are served (default: all).");

    private readonly Option<bool> _masqueradeAll = new("--masquerade-all")
    {
        Description = "Everything through a cluster address is masqueraded.",
    };

    internal void AddTo(Command command)
    {
        command.Add(_name);
        command.Add(_zone);
        command.Add(_addresses);
        command.Add(_pods);
        command.Add(_nodePorts);
        command.Add(_masqueradeAll);
    }

    /// <summary>The first of these options that the command line has; null if it has none.</summary>
    internal string? FindGiven(ParseResult result)
    {
        Option[] options = [_name, _zone, _addresses, _pods, _nodePorts, _masqueradeAll];
        return options.FirstOrDefault(option => result.GetResult(option) is { Implicit: false })?.Name;
    }

    internal NodeFacts Read(ParseResult result)
    {
        string[] addresses = result.GetValue(_addresses) ?? [];
        IpAddress[] own = addresses.Length > 0 ? [.. addresses.Select(ReadAddress)] : [.. HostAddresses()];
        return new NodeFacts
        {
            Name = result.GetValue(_name) ?? Environment.MachineName.ToLowerInvariant(),
            Zone = result.GetValue(_zone) ?? "",
            PrimaryAddresses = [.. own.DistinctBy(address => address.IsIpv4)],
            Addresses = [.. own],
            PodRanges = [.. (result.GetValue(_pods) ?? []).Select(text => ReadRange("--pod-cidr", text))],
            NodePortRanges = [.. (result.GetValue(_nodePorts) ?? []).Select(text => ReadRange("--node-port-addresses", text))],
            MasqueradeAll = result.GetValue(_masqueradeAll),
        };
    }

    private static Option<string[]> Many(string name, string description) => new(name)
    {
        Description = description + " May be repeated.",
        AllowMultipleArgumentsPerToken = false,
    };

    private static IEnumerable<IpAddress> HostAddresses()
    {
        foreach (NetworkInterface card in NetworkInterface.GetAllNetworkInterfaces())
        {
            foreach (UnicastIPAddressInformation one in card.GetIPProperties().UnicastAddresses)
            {
                if (IpAddress.TryParse(one.Address.ToString(), out IpAddress address) && !address.IsLoopback)
                {
                    yield return address;
                }
            }
        }
    }

    private static IpAddress ReadAddress(string text) => IpAddress.TryParse(text, out IpAddress address)
        ? address : throw new CommandException($"--node-address: \"{text}\" is not an IP address", ExitStatus.Usage);

    private static AddressRange ReadRange(string option, string text) => AddressRange.TryParse(text, out AddressRange range)
        ? range : throw new CommandException($"{option}: \"{text}\" is not a range like 10.0.0.0/8", ExitStatus.Usage);
}
