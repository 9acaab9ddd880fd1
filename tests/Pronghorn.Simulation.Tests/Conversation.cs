// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Stack;
using Pronghorn.Stack.Tcp;

namespace Pronghorn.Simulation.Tests;

/// <summary>Two hosts, one connection, two programs; the test disturbs the link.</summary>
internal sealed class Conversation : IDisposable
{
    private const ushort Port = 7000;

    private readonly ProgramPlan _near;
    private readonly ProgramPlan _far;
    private readonly int _listener;

    public Conversation(
        ulong seed, LinkSettings settings, ProgramPlan near, ProgramPlan far, StackOptions? options = null, int frames = 8192)
    {
        Fabric = new Fabric(seed);
        _near = near;
        _far = far;
        Client = Fabric.AddHost("client", options, frames);
        Server = Fabric.AddHost("server", options, frames);
        Link = Fabric.Connect(Client, Server, settings);
        Client.OnEvent = _ => Near?.Pump();
        Server.OnEvent = OnServerEvent;
        _listener = Server.Tcp.Listen(Server.Address, Port, 4, 0, far.Settings, out _);
        Fabric.AfterStep = () =>
        {
            Invariants.Check(Client);
            Invariants.Check(Server);
        };
    }

    public Fabric Fabric { get; }

    public SimulatedHost Client { get; }

    public SimulatedHost Server { get; }

    public Link Link { get; }

    public SimulatedProgram? Near { get; private set; }

    public SimulatedProgram? Far { get; private set; }

    public void Dispose() => Fabric.Dispose();

    public void Start()
    {
        int id = Client.Tcp.Connect(
            Client.Address, 40000, Server.Address, Port, 0, _near.Settings, Fabric.Now, out _);
        Near = new SimulatedProgram(Fabric, Client, id, _near, _far);
    }

    /// <summary>Runs to the end of both programs and connections; says what went wrong, null when nothing.</summary>
    public string? Finish(Duration limit)
    {
        bool ended = Fabric.RunUntil(
            () => Near!.Finished && Far is { Finished: true } && Client.Tcp.ConnectionCount + Server.Tcp.ConnectionCount == 0,
            limit);
        if (!ended)
        {
            return $"did not end: {Near}; {Far}";
        }

        Invariants.CheckNothingHeld(Client);
        Invariants.CheckNothingHeld(Server);
        return Near!.Problem ?? Far!.Problem;
    }

    private void OnServerEvent(TcpEvent happened)
    {
        if (happened.IsListener && Far == null && Server.Tcp.TryAccept(_listener, out int id))
        {
            Far = new SimulatedProgram(Fabric, Server, id, _far, _near);
        }

        Far?.Pump();
    }
}
