// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;

namespace Pronghorn.Lab.Tests.Loss;

/// <summary>
/// Two hosts, as <see cref="TwoHosts"/> has them, and between them a namespace in which programs/wire.c carries the frames and
/// loses, delays or reorders some. Both directions are treated alike, whichever stack is at the ends.
/// </summary>
public sealed class FaultyCable : IDisposable
{
    private const string Outside = "to_";

    private readonly string _programs = Directory.CreateTempSubdirectory("pronghorn-lab-").FullName;
    private readonly NetworkNamespace _middle;
    private readonly LabProgram _wire;

    /// <summary>Builds it; the cable is perfect until <see cref="Set"/>.</summary>
    public FaultyCable()
    {
        string prefix = LabCleanup.CreatePrefix();
        Client = NetworkNamespace.Create(prefix + "-client");
        Server = NetworkNamespace.Create(prefix + "-server");
        _middle = NetworkNamespace.Create(prefix + "-cable");
        Connect(Client, "client", TwoHosts.ClientAddress);
        Connect(Server, "server", TwoHosts.ServerAddress);
        Transfer = Compile("transfer");
        _wire = LabProgram.Start(
            _middle, Compile("wire"), [Outside + "client", Outside + "server"], Product.Options(Side.Kernel), "ready");
    }

    /// <summary>The client's namespace.</summary>
    public NetworkNamespace Client { get; }

    /// <summary>The server's namespace.</summary>
    public NetworkNamespace Server { get; }

    /// <summary>The program of programs/transfer.c.</summary>
    public string Transfer { get; }

    /// <summary>Changes the cable by words of programs/wire.c, and begins the drawing of faults anew.</summary>
    public void Set(string words)
    {
        _wire.Input.WriteLine($"loss=0 reorder=0 delay=0 late=1000 rate=0 queue=1000 cut=0 {words} seed=1");
        _wire.Input.Flush();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _wire.Dispose();
        Client.Dispose();
        Server.Dispose();
        _middle.Dispose();
        Directory.Delete(_programs, recursive: true);
    }

    private void Connect(NetworkNamespace side, string name, string address)
    {
        LabCommand.Run(
            "ip", "link", "add", TwoHosts.Interface, "netns", side.Name, "type", "veth", "peer", "name", Outside + name,
            "netns", _middle.Name);
        foreach ((NetworkNamespace place, string link) in
            (IEnumerable<(NetworkNamespace Place, string Link)>)[(side, TwoHosts.Interface), (_middle, Outside + name)])
        {
            // Without segmentation on either side every frame is one that a wire could carry, or lose.
            place.Run("ethtool", "-K", link, "tx", "off", "tso", "off", "gso", "off", "gro", "off");
            place.TryRun("sysctl", "-qw", $"net.ipv6.conf.{link}.disable_ipv6=1");
            place.Run("ip", "link", "set", link, "up");
        }

        side.Run("ip", "address", "add", address + "/24", "dev", TwoHosts.Interface);

        // CUBIC by a route: the host's list of algorithms for namespaces stays as it is. Nothing is remembered of old runs.
        side.Run(
            "ip", "route", "change", "10.0.0.0/24", "dev", TwoHosts.Interface, "proto", "kernel", "scope", "link",
            "src", address, "congctl", "cubic");
        side.Run("sysctl", "-qw", "net.ipv4.tcp_no_metrics_save=1");
    }

    private string Compile(string name)
    {
        string program = Path.Combine(_programs, name);
        string source = Path.Combine(AppContext.BaseDirectory, "programs", name + ".c");
        LabCommand.Run("gcc", "-O2", "-o", program, source);
        return program;
    }
}
