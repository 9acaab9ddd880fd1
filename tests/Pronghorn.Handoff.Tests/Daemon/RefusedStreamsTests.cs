// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using Pronghorn.Handoff.Daemon;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

public sealed class RefusedStreamsTests
{
    private readonly List<string> _lines = [];

    [Fact]
    public void ThousandsCome_OneLineIsWritten_AndTheNextSaysHowManyThereWere()
    {
        var refused = new RefusedStreams(_lines.Add);
        long now = Environment.TickCount64;
        for (int i = 0; i < 5000; i++)
        {
            refused.Add("192.0.2.1", "it shows no certificate", now + i);
        }

        refused.Add("192.0.2.2", "it shows no certificate", now + 10_000);

        Assert.Equal(
            [
                "a stream from 192.0.2.1 was refused: it shows no certificate",
                "a stream from 192.0.2.2 was refused: it shows no certificate (4999 more since the last line of this kind)",
            ],
            _lines);
        Assert.Equal(5001, refused.Count);
    }
}
