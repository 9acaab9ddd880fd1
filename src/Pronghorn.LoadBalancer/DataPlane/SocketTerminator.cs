// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Netlink;
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.DataPlane;

/// <summary>Another end of connections: what a backend is at the socket.</summary>
/// <param name="Address">Its address.</param>
/// <param name="Port">Its port.</param>
/// <param name="Protocol">TCP or UDP.</param>
public readonly record struct BackendEnd(IpAddress Address, ushort Port, IpProtocol Protocol);

/// <summary>What came of a termination.</summary>
/// <param name="Udp">UDP sockets ended.</param>
/// <param name="Tcp">TCP sockets ended.</param>
/// <param name="NamespacesNotFound">Network namespaces with such sockets to which no process and no name leads.</param>
/// <param name="Failed">Sockets that the kernel did not end.</param>
/// <param name="Error">The negative error number of the last failure; -EOPNOTSUPP: CONFIG_INET_DIAG_DESTROY is not set. 0: none.</param>
public readonly record struct TerminationResult(int Udp, int Tcp, int NamespacesNotFound, int Failed, int Error);

/// <summary>
/// Ends the sockets that were connected through a service to a backend that is gone, in every network namespace: their programs
/// get ECONNABORTED and connect anew, instead of talking to nobody. Sockets that were connected to the same address without
/// a service are left alone, and so are unconnected UDP sockets, which get another backend with their next datagram.
/// </summary>
/// <remarks>
/// UDP has no other way to learn of it, so its sockets are ended always; TCP notices by itself in the end, so its are by
/// choice. Not for backends that terminate gracefully: those finish their connections.
/// </remarks>
public sealed class SocketTerminator
{
    private readonly PinLayout _pins;
    private readonly bool _endsTcp;

    /// <summary>Makes one for an instance.</summary>
    /// <param name="pins">Where the instance's maps are.</param>
    /// <param name="endsTcp">Whether TCP sockets are ended too.</param>
    public SocketTerminator(PinLayout pins, bool endsTcp)
    {
        ArgumentNullException.ThrowIfNull(pins);
        _pins = pins;
        _endsTcp = endsTcp;
    }

    /// <summary>Ends the sockets of backends that are gone; to be called when no program can choose them any more.</summary>
    /// <param name="isGone">Says of a backend that a socket is connected to whether it is gone. Called once for each socket.</param>
    /// <exception cref="BpfException">The map of sockets cannot be read.</exception>
    public TerminationResult Terminate(Func<BackendEnd, bool> isGone)
    {
        ArgumentNullException.ThrowIfNull(isGone);
        using BpfMap map = BpfMap.OpenPinned(_pins.Map("socket_reverse"));
        List<KeyValuePair<SocketKey, SocketValue>> entries = [];
        int error = map.ReadAll(entries);
        if (error < 0)
        {
            throw new BpfException(BpfStep.UseMap, "socket_reverse", -error);
        }

        var work = new Work();
        foreach ((SocketKey key, SocketValue value) in entries)
        {
            var end = new BackendEnd(key.Address, key.HostPort, (IpProtocol)value.Protocol);
            bool isWanted = (end.Protocol == IpProtocol.Udp || _endsTcp) && isGone(end);
            if (isWanted)
            {
                work.Add(key, end, value.NamespaceCookie);
            }
        }

        if (work.Namespaces.Count > 0)
        {
            NetworkNamespaces.RunIn(work.Namespaces, work.EndSockets);
            foreach (SocketKey key in work.Ended)
            {
                // An ended socket has forgotten its other end, so its release could not remove this.
                _ = map.Delete(key);
            }
        }

        return work.Result;
    }

    private sealed class Work
    {
        private readonly Dictionary<(ulong Cookie, BackendEnd End), SocketKey> _sockets = [];
        private readonly HashSet<BackendEnd> _ends = [];
        private int _udp;
        private int _tcp;
        private int _failed;
        private int _error;

        public HashSet<ulong> Namespaces { get; } = [];

        public List<SocketKey> Ended { get; } = [];

        public TerminationResult Result => new(_udp, _tcp, Namespaces.Count, _failed, _error);

        public void Add(SocketKey key, BackendEnd end, ulong namespaceCookie)
        {
            _sockets[(key.Cookie, end)] = key;
            _ends.Add(end);
            Namespaces.Add(namespaceCookie);
        }

        /// <summary>Ends what is wanted in the calling thread's namespace.</summary>
        public void EndSockets()
        {
            int result = SocketDiagnostics.Open(out SocketDiagnostics? diagnostics);
            if (diagnostics is null)
            {
                _error = result;
                return;
            }

            using (diagnostics)
            {
                foreach ((IpProtocol protocol, ushort port) in _ends.Select(end => (end.Protocol, end.Port)).Distinct())
                {
                    List<DiagnosedSocket> found = [];
                    foreach (bool isIpv6 in (ReadOnlySpan<bool>)[false, true])
                    {
                        int listed = diagnostics.List(isIpv6, protocol, port, found);
                        _error = listed < 0 ? listed : _error;
                    }

                    found.ForEach(socket => End(diagnostics, socket));
                }
            }
        }

        private void End(SocketDiagnostics diagnostics, DiagnosedSocket socket)
        {
            var end = new BackendEnd(socket.Remote, socket.RemotePort, socket.Protocol);
            if (!_sockets.TryGetValue((socket.Cookie, end), out SocketKey key))
            {
                return;
            }

            int result = diagnostics.Destroy(socket);
            if (result is < 0 and not -Errno.NoEntry)
            {
                _failed++;
                _error = result;
                return;
            }

            Ended.Add(key);
            _udp += result == 0 && end.Protocol == IpProtocol.Udp ? 1 : 0;
            _tcp += result == 0 && end.Protocol == IpProtocol.Tcp ? 1 : 0;
        }
    }
}
