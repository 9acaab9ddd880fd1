// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Protocol;
using Pronghorn.Handoff.Steering;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Netlink;
using Pronghorn.Linux.Tcp;
using Pronghorn.Wire;

namespace Pronghorn.Handoff.Moves;

/// <summary>
/// Ends the entries of connections that have ended. The owner hears of it from the kernel, by the socket's cookie, and tells the node
/// that gave the connection away; both keep what they have for a while, because late segments and a TIME-WAIT still need it.
/// </summary>
public sealed partial class Lifetimes : IDisposable
{
    private const short PollIn = 1;
    private const int StopPollMilliseconds = 100;

    // What is late afterwards is asked for once more.
    private static readonly TimeSpan s_sharedGrace = TimeSpan.FromSeconds(1);

    private readonly SteeredNode _node;
    private readonly TimeSpan _grace;
    private readonly TcpEndMonitor _monitor;
    private readonly SocketDiagnostics _diagnostics;
    private readonly ConcurrentDictionary<ulong, Taken> _taken = new();
    private readonly ConcurrentDictionary<Stay, (Taken Taken, TcpEnd Target)> _left = new();

    // Whose the entries of a pair of ends are: what was left behind must not take away what came later.
    private readonly ConcurrentDictionary<(TcpEnd Local, TcpEnd Remote), object> _owners = new();
    private readonly CancellationTokenSource _stopped = new();
    private readonly Thread _reader;

    private Lifetimes(SteeredNode node, TimeSpan grace, TcpEndMonitor monitor, SocketDiagnostics diagnostics)
    {
        _node = node;
        _grace = grace;
        _monitor = monitor;
        _diagnostics = diagnostics;
        _home = new HomeAnchor(this);
        _reader = new Thread(ReadUntilStopped) { IsBackground = true, Name = "handoff-ends" };
    }

    /// <summary>TIME-WAIT of Linux (TCP_TIMEWAIT_LEN), and some.</summary>
    public static TimeSpan DefaultGrace { get; } = TimeSpan.FromSeconds(65);

    /// <summary>Connections that this node was given and that have not ended.</summary>
    public int TakenCount => _taken.Values.Count(taken => !IsHome(taken));

    /// <summary>
    /// Begins to listen, in the calling thread's network namespace: the node's. What the tables have of a former daemon's time is taken
    /// over: connections whose socket is there are watched, and of the others the end is told.
    /// </summary>
    /// <param name="node">The node.</param>
    /// <param name="grace">How long an entry outlives its connection.</param>
    /// <param name="lifetimes">What was made; null on failure.</param>
    /// <param name="anchors">Who is told of a connection whose peer's packets come by the node with an address; null for nobody.</param>
    /// <param name="unsettled">Is told of connections whose new owner may not have heard that they are its own; null for nobody.</param>
    /// <returns>0 or a negative error number.</returns>
    public static int Open(
        SteeredNode node,
        TimeSpan grace,
        out Lifetimes? lifetimes,
        Func<IpAddress, IMessageSender?>? anchors = null,
        Unsettled? unsettled = null)
    {
        lifetimes = null;
        int result = SocketDiagnostics.Open(out SocketDiagnostics? diagnostics);
        if (diagnostics is null)
        {
            return result;
        }

        // Before the list is made: what ends after it is told.
        result = TcpEndMonitor.Open(out TcpEndMonitor? monitor);
        if (monitor is null)
        {
            diagnostics.Dispose();
            return result;
        }

        lifetimes = new Lifetimes(node, grace, monitor, diagnostics);
        result = lifetimes.Recover(anchors ?? (static _ => null), unsettled ?? new Unsettled());
        lifetimes._reader.Start();
        if (result < 0)
        {
            lifetimes.Dispose();
            lifetimes = null;
        }

        return result;
    }

    /// <summary>A connection was taken. To be called before anybody else has its descriptor.</summary>
    /// <param name="fd">Its socket.</param>
    /// <param name="request">What was asked when it came.</param>
    /// <param name="local">The end that it has here.</param>
    /// <param name="anchor">Who is told of its end.</param>
    public void Watch(int fd, Prepare request, TcpEnd local, IMessageSender anchor)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (TcpSocket.GetCookie(fd, out ulong cookie) == 0)
        {
            var entry = new TakenEntry(local, request.Remote, request.Known, request.Stay, HasLived: true, request.Anchor);
            Watch(cookie, new Taken(entry, anchor));
        }
    }

    /// <summary>A connection comes to these ends: what is still there of an earlier one's is not taken away any more.</summary>
    public void Claim(TcpEnd local, TcpEnd remote) => _owners[(local, remote)] = new object();

    /// <summary>A connection that was to come to these ends does not.</summary>
    public void Unclaim(TcpEnd local, TcpEnd remote)
    {
        if (_owners.TryGetValue((local, remote), out object? owner) && owner is not Taken)
        {
            _owners.TryRemove(new KeyValuePair<(TcpEnd, TcpEnd), object>((local, remote), owner));
        }
    }

    /// <summary>How a connection came here from another node, if it did.</summary>
    /// <param name="fd">Its socket.</param>
    /// <param name="entry">What there is of it.</param>
    public bool FindTaken(int fd, out TakenEntry entry)
    {
        Taken? taken = TcpSocket.GetCookie(fd, out ulong cookie) == 0 ? _taken.GetValueOrDefault(cookie) : null;
        entry = taken?.Entry ?? default;
        return taken is not null;
    }

    /// <summary>
    /// A connection has left. If it came from another node, its anchor hears where it went, unless it went there; what this node has
    /// of it stays until nothing comes by way of this node any more.
    /// </summary>
    /// <param name="fd">Its socket, which is still there.</param>
    /// <param name="target">The end that it has at its new owner.</param>
    /// <param name="stay">Its stay there.</param>
    public void Leave(int fd, TcpEnd target, Stay stay)
    {
        if (TcpSocket.GetCookie(fd, out ulong cookie) < 0 || !_taken.TryRemove(cookie, out Taken? taken))
        {
            return;
        }

        taken.State = TakenState.Left;
        if (IsHome(taken))
        {
            Disown(taken);
            return;
        }

        if (target.Address == taken.Known.Address)
        {
            After(() => Forget(taken));
            return;
        }

        _left[stay] = (taken, target);
        Tell(taken, new Moved(stay, taken.Known, taken.Remote, target));
    }

    /// <summary>A connection that was given away by a former daemon has never come to be at its new owner, and goes on here.</summary>
    /// <param name="fd">Its socket.</param>
    /// <param name="local">The end that it has here.</param>
    /// <param name="remote">The peer.</param>
    /// <param name="stay">The stay that did not begin.</param>
    public void TakeBack(int fd, TcpEnd local, TcpEnd remote, Stay stay)
    {
        _left.TryRemove(stay, out _);
        if (_owners.GetValueOrDefault((local, remote)) is Taken taken && TcpSocket.GetCookie(fd, out ulong cookie) == 0)
        {
            taken.State = TakenState.Open;
            Watch(cookie, taken);
        }
    }

    /// <summary>A connection that this node gave away has moved on.</summary>
    /// <param name="moved">What its owner says.</param>
    /// <param name="owner">Who said so, and hears that it is done.</param>
    public void Repoint(Moved moved, IMessageSender owner)
    {
        ArgumentNullException.ThrowIfNull(moved);
        ArgumentNullException.ThrowIfNull(owner);

        // What is not confirmed stays with the owner, which sends on what comes.
        int interfaceIndex = _node.Addresses.Contains(moved.Target.Address) ? 0 : _node.InterfaceIndex;
        if (_node.Layer.Tables.Repoint(moved.Known, moved.Remote, moved.Target, interfaceIndex, moved.Stay) == 0)
        {
            _ = owner.SendAsync(new Repointed(moved.Stay), CancellationToken.None).AsTask();
        }
    }

    /// <summary>The anchor of a connection that left sends nothing this way any more.</summary>
    public void Finish(Repointed repointed)
    {
        ArgumentNullException.ThrowIfNull(repointed);
        if (_left.TryRemove(repointed.Stay, out (Taken Taken, TcpEnd Target) left))
        {
            After(() => Forget(left.Taken));
        }
    }

    /// <summary>
    /// Connections that left and whose anchor has not said that it sends nothing this way any more. It asks about what it has here; of
    /// what has ended elsewhere meanwhile it has nothing to ask, and answers only what it is told.
    /// </summary>
    /// <param name="anchor">The anchor's addresses.</param>
    internal IEnumerable<Moved> ListLeft(IReadOnlyCollection<IpAddress> anchor) =>
        from left in _left
        where anchor.Contains(left.Value.Taken.AnchorAddress)
        select new Moved(left.Key, left.Value.Taken.Known, left.Value.Taken.Remote, left.Value.Target);

    /// <summary>A connection that this node gave away has ended at its owner.</summary>
    public void Bury(Ended ended)
    {
        ArgumentNullException.ThrowIfNull(ended);
        if (_node.Layer.Tables.Bury(ended.Known, ended.Remote, ended.Stay) == 0)
        {
            // The firewall has not seen the end, nor sees what comes late.
            _node.Tracking?.Forget(ended.Known, ended.Remote);
            ForgetBuriedLater(ended.Known, ended.Remote, ended.Stay);
        }
    }

    /// <summary>
    /// A node has gone for good: the peers of what it had hear from this node's kernel that there is no connection any more.
    /// </summary>
    /// <param name="addresses">Its addresses.</param>
    /// <returns>How many connections it had.</returns>
    public int ForgetOwner(IReadOnlyCollection<IpAddress> addresses)
    {
        int count = 0;
        foreach (GivenEntry given in _node.Layer.Tables.ListGiven())
        {
            if (given.Mode != SteeringMode.Hold && addresses.Contains(given.Owner))
            {
                // The kernel's resets have numbers that the firewall has not seen come.
                _node.Tracking?.SetLiberal(given.Local, given.Remote);
                count += _node.Layer.Tables.ForgetGiven(given.Local, given.Remote) == 0 ? 1 : 0;
            }
        }

        return count;
    }

    /// <summary>What there is here of a connection, by its ends.</summary>
    internal TakenState? StateOf(TcpEnd local, TcpEnd remote, Stay stay) =>
        _owners.TryGetValue((local, remote), out object? owner) && owner is Taken taken && taken.Stay == stay ? taken.State : null;

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_stopped.IsCancellationRequested)
        {
            _stopped.Cancel();
            _reader.Join();
            _monitor.Dispose();
            _diagnostics.Dispose();
        }
    }

    private int Recover(Func<IpAddress, IMessageSender?> anchors, Unsettled unsettled)
    {
        int result = ListSockets(out Dictionary<(TcpEnd, TcpEnd), ulong> sockets);
        if (result < 0)
        {
            return result;
        }

        SteeringTables tables = _node.Layer.Tables;
        foreach (TakenEntry entry in tables.ListTaken())
        {
            var taken = new Taken(entry, _node.Addresses.Contains(entry.Anchor) ? _home : anchors(entry.Anchor));
            if (tables.FindGiven(entry.Local, entry.Remote, out GivenEntry given) && given.Stay.IsAfter(entry.Stay))
            {
                unsettled.Remember(new AuditItem(given.Stay, given.Local, given.Remote, given.Target, IsUnsettled: true));
                SetLeft(taken, given);
            }
            else if (sockets.TryGetValue((entry.Local, entry.Remote), out ulong cookie))
            {
                Watch(cookie, taken);
            }
            else
            {
                SetEnded(taken, entry.HasLived);
            }
        }

        foreach (GivenEntry given in tables.ListGiven())
        {
            if (given.Mode == SteeringMode.Tombstone)
            {
                ForgetBuriedLater(given.Local, given.Remote, given.Stay);
            }
        }

        return 0;
    }

    private void SetLeft(Taken taken, GivenEntry given)
    {
        taken.State = TakenState.Left;
        Own(taken);
        if (given.Target.Address == taken.Known.Address)
        {
            After(() => Forget(taken));
        }
        else
        {
            // Its anchor asks about the stay here, and hears of the next one then; if it does not ask any more, it is told.
            _left[given.Stay] = (taken, given.Target);
            if (_node.Addresses.Contains(taken.AnchorAddress))
            {
                // This node itself, which asks nobody. Should the connection be taken back, it is sought again.
                Tell(taken, new Moved(given.Stay, taken.Known, taken.Remote, given.Target));
            }
        }
    }

    private void SetEnded(Taken taken, bool hasLived)
    {
        // Whoever gave one that never lived may take it back: its peer must not hear that there is nothing here.
        taken.State = hasLived ? TakenState.Ended : TakenState.NeverLived;
        Own(taken);
        if (hasLived)
        {
            _node.Layer.Tables.SetLive(taken.Local, taken.Remote);
            Tell(taken, new Ended(taken.Stay, taken.Known, taken.Remote));
        }

        After(() => Forget(taken));
    }

    // The kernel says that it has ended, and its entries go as always.
    private int DestroySocket(ulong cookie, TcpEnd local, TcpEnd remote)
    {
        var socket = new DiagnosedSocket(
            !local.Address.IsIpv4, IpProtocol.Tcp, 0, local.Address, local.Port, remote.Address, remote.Port, 0, cookie);
        lock (_diagnostics)
        {
            return _diagnostics.Destroy(socket);
        }
    }

    private int ListSockets(out Dictionary<(TcpEnd Local, TcpEnd Remote), ulong> sockets)
    {
        List<DiagnosedSocket> found = [];
        sockets = [];
        int result;
        lock (_diagnostics)
        {
            result = _diagnostics.List(isIpv6: false, IpProtocol.Tcp, 0, found);
            result = result < 0 ? result : _diagnostics.List(isIpv6: true, IpProtocol.Tcp, 0, found);
        }

        foreach (DiagnosedSocket socket in found)
        {
            sockets[(new TcpEnd(socket.Local, socket.LocalPort), new TcpEnd(socket.Remote, socket.RemotePort))] = socket.Cookie;
        }

        return result;
    }

    private void Watch(ulong cookie, Taken taken)
    {
        Own(taken);
        _taken[cookie] = taken;
    }

    private void ReadUntilStopped()
    {
        Span<PollDescriptor> wait = [new PollDescriptor { Descriptor = _monitor.FileDescriptor, Events = PollIn }];
        while (!_stopped.IsCancellationRequested)
        {
            if (Libc.Poll(wait, StopPollMilliseconds) <= 0)
            {
                continue;
            }

            TcpEndEvent happened;
            while ((happened = _monitor.Receive(out DiagnosedSocket socket)) is not TcpEndEvent.None)
            {
                if (happened == TcpEndEvent.Missed)
                {
                    EndMissing();
                }
                else if (_taken.TryRemove(socket.Cookie, out Taken? taken))
                {
                    End(taken);
                }
            }
        }
    }

    /// <summary>More sockets ended than the kernel could tell of.</summary>
    private void EndMissing()
    {
        // First what is known, then what there is: what comes in between is in neither, and has not ended.
        ulong[] known = [.. _taken.Keys];
        if (ListSockets(out Dictionary<(TcpEnd, TcpEnd), ulong> sockets) < 0)
        {
            return;
        }

        HashSet<ulong> there = [.. sockets.Values];
        foreach (ulong cookie in known)
        {
            if (!there.Contains(cookie) && _taken.TryRemove(cookie, out Taken? taken))
            {
                End(taken);
            }
        }
    }

    private void End(Taken taken)
    {
        if (IsHome(taken))
        {
            Disown(taken);
            return;
        }

        // One that ended before it went on here: who still sends may hear that there is nothing.
        _node.Layer.Tables.SetLive(taken.Local, taken.Remote);
        taken.State = TakenState.Ended;
        Tell(taken, new Ended(taken.Stay, taken.Known, taken.Remote));
        After(() => Forget(taken));
    }

    private static void Tell(Taken taken, Message message) => _ = taken.Anchor?.SendAsync(message, CancellationToken.None).AsTask();

    private void Forget(Taken taken)
    {
        // One that was taken back has not left after all. One that ended with the end that its peer knows has no entries.
        bool hasEntries = taken.Local != taken.Known || taken.State != TakenState.Ended;
        if (taken.State != TakenState.Open && Disown(taken) && hasEntries)
        {
            _node.Layer.Tables.ForgetGiven(taken.Local, taken.Remote);
            _node.Layer.Tables.ForgetTranslation(taken.Local, taken.Remote);
            if (taken.State == TakenState.Left)
            {
                _node.Tracking?.Forget(taken.Local, taken.Remote);
            }
        }
    }

    /// <summary>Whether the entries were still this connection's.</summary>
    private bool Disown(Taken taken)
    {
        _shared.TryRemove(new KeyValuePair<(TcpEnd, TcpEnd), Taken>((taken.Known, taken.Remote), taken));
        return _owners.TryRemove(new KeyValuePair<(TcpEnd, TcpEnd), object>((taken.Local, taken.Remote), taken));
    }

    // At a shared address the peer may begin anew by another node, from the same port, whose packets may come here later.
    private void ForgetBuriedLater(TcpEnd known, TcpEnd remote, Stay stay) => After(
        () => _node.Layer.Tables.ForgetBuried(known, remote, stay),
        _node.SharedAddresses.Contains(known.Address) && s_sharedGrace < _grace ? s_sharedGrace : _grace);

    private void After(Action action) => After(action, _grace);

    private void After(Action action, TimeSpan grace) => _ = Task.Delay(grace, _stopped.Token).ContinueWith(
        _ => action(), _stopped.Token, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);

    private sealed class Taken(TakenEntry entry, IMessageSender? anchor)
    {
        private volatile TakenState _state;
        private volatile StrongBox<(IpAddress Address, IMessageSender? Sender)> _anchor = new((entry.Anchor, anchor));

        public TakenEntry Entry => entry with { Anchor = AnchorAddress };

        public Stay Stay => entry.Stay;

        public TcpEnd Known => entry.Known;

        public TcpEnd Remote => entry.Remote;

        public TcpEnd Local => entry.Local;

        public IMessageSender? Anchor => _anchor.Value.Sender;

        public IpAddress AnchorAddress => _anchor.Value.Address;

        public TakenState State
        {
            get => _state;
            set => _state = value;
        }

        public void SetAnchor(IpAddress address, IMessageSender sender) => _anchor = new((address, sender));
    }
}

/// <summary>What has become of a connection that this node was given.</summary>
internal enum TakenState
{
    /// <summary>It works here.</summary>
    Open,

    /// <summary>It has moved on.</summary>
    Left,

    /// <summary>It has ended.</summary>
    Ended,

    /// <summary>It was restored here and the daemon ended before it went on.</summary>
    NeverLived,
}
