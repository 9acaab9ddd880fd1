// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Threading;
using System.Threading.Tasks;
using Pronghorn.Handoff.Daemon;
using Xunit;

namespace Pronghorn.Handoff.Tests.Daemon;

public sealed class DaemonLogTests
{
    [Fact]
    public async Task LineThatCannotBeWritten_IsLost_AndTheNextIsNot()
    {
        List<string> written = [];
        await using (var log = new DaemonLog(line =>
        {
            if (line == "full")
            {
                throw new IOException("No space left on device");
            }

            written.Add(line);
        }))
        {
            log.Add("full");
            log.Add("more");
        }

        Assert.Equal(["more"], written);
    }

    [Fact]
    public async Task LogThatNobodyReads_HoldsUpNobody()
    {
        using var reads = new ManualResetEventSlim();
        int written = 0;
        await using var log = new DaemonLog(_ =>
        {
            reads.Wait();
            Interlocked.Increment(ref written);
        });
        for (int i = 0; i < 10_000; i++)
        {
            log.Add("line");
        }

        reads.Set();
        await log.DisposeAsync();
        Assert.InRange(written, 1, 300);
    }
}
