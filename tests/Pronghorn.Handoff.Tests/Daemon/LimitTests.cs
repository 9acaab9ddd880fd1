// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Linq;
using System.Threading.Tasks;
using Pronghorn.Handoff.Daemon;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

/// <summary>max_connections, on either side of a move.</summary>
public sealed class LimitTests : IDisposable
{
    private const int Limit = 4;

    private readonly DaemonWorld _world = new();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task TableIsFull_NextMoveIsRefused_AndTheConnectionWorksOn(int limited)
    {
        await StartAsync(limited);
        List<StreamReaderWriter> clients = [];
        try
        {
            for (int i = 0; i < Limit; i++)
            {
                clients.Add(_world.Connect(0));
                Assert.Equal($"1.{i} from 1.0", await clients[i].AskAsync(Text($"get 1.{i}")));
            }

            using StreamReaderWriter fifth = _world.Connect(0);
            Assert.Equal("1.there from 0.0", await fifth.AskAsync("get 1.there"));
            Assert.Equal("1.again from 0.0", await fifth.AskAsync("get 1.again"));
            HandoffStatus status = await _world.StatusOfAsync(0);
            Assert.Equal(2, status.Refused["TableFull"]);
            Assert.Equal(Limit, status.InboundEntries);

            // Those two were refused before anything was held.
            Assert.Equal(Limit, status.CaptureMicroseconds.Values.Sum());
            HandoffStatus of = await _world.StatusOfAsync(limited);
            Assert.Equal((Limit, Limit), (of.InboundLimit, of.OutboundLimit));

            // The others are where they were.
            Assert.Equal("1.more from 1.0", await clients[0].AskAsync("get 1.more"));
        }
        finally
        {
            clients.ForEach(static client => client.Dispose());
        }
    }

    [Fact]
    public async Task AnotherLimitAtAStart_TablesInUseStay_AndEmptyOnesAreMadeAnew()
    {
        Process daemon = await StartAsync(limited: 0);
        using (StreamReaderWriter client = _world.Connect(0))
        {
            Assert.Equal("1.a from 1.0", await client.AskAsync("get 1.a"));
            DaemonWorld.End(daemon, "TERM");
            _world.Configure(0, static text => text.Replace("max_connections = 4", "max_connections = 9", StringComparison.Ordinal));
            _world.StartDaemon(0);
            HandoffStatus status = await _world.StatusOfAsync(0);
            Assert.Equal((Limit, 9), (status.InboundLimit, status.OutboundLimit));
            Assert.Equal("1.b from 1.0", await client.AskAsync("get 1.b"));
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _world.Dispose();

    private async Task<Process> StartAsync(int limited)
    {
        _world.Configure(limited, static text => text + "\nmax_connections = 4");
        Process first = _world.StartDaemon(0);
        _world.StartDaemon(1);
        _world.StartWorker(0);
        _world.StartWorker(1);
        await _world.WaitUntilConnectedAsync(0, 1);
        return first;
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
