// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Threading.Channels;
using System.Threading.Tasks;
using Pronghorn.Linux.Bpf;
using Pronghorn.LoadBalancer.Cluster;
using Pronghorn.LoadBalancer.DataPlane;

namespace Pronghorn.LoadBalancer.Daemon;

/// <summary>Ends sockets of backends that are gone, beside the proxy, so that no change waits for it.</summary>
internal sealed class SocketSweeper
{
    private readonly Channel<IReadOnlyCollection<BackendEnd>> _gone = Channel.CreateUnbounded<IReadOnlyCollection<BackendEnd>>();
    private readonly SocketTerminator _terminator;
    private readonly IProblemSink _problems;

    public SocketSweeper(SocketTerminator terminator, IProblemSink problems)
    {
        _terminator = terminator;
        _problems = problems;
    }

    /// <summary>Sockets ended so far.</summary>
    public long Ended { get; private set; }

    /// <summary>Asks for the sockets of backends.</summary>
    public void Add(IReadOnlyCollection<BackendEnd> gone) => _gone.Writer.TryWrite(gone);

    /// <summary>No more will be asked for.</summary>
    public void Complete() => _gone.Writer.TryComplete();

    /// <summary>Works until <see cref="Complete"/>. What was asked for while it worked goes into one sweep.</summary>
    public async Task RunAsync()
    {
        var wanted = new HashSet<BackendEnd>();
        while (await _gone.Reader.WaitToReadAsync())
        {
            while (_gone.Reader.TryRead(out IReadOnlyCollection<BackendEnd>? some))
            {
                wanted.UnionWith(some);
            }

            try
            {
                TerminationResult result = _terminator.Terminate(wanted.Contains);
                Ended += result.Udp + result.Tcp;
                if (result.Failed > 0)
                {
                    _problems.Report(new Problem(
                        "sockets", "", $"{result.Failed} sockets of backends that are gone could not be ended (error {-result.Error})."));
                }
            }
            catch (BpfException failure)
            {
                _problems.Report(new Problem("sockets", "", failure.Message));
            }

            wanted.Clear();
        }
    }
}
