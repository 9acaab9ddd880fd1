// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using Pronghorn.Memory;
using Pronghorn.Stack.Tcp;
using Pronghorn.Wire;
using Xunit;

namespace Pronghorn.Stack.Tests.Tcp;

public sealed class FlowTableTests
{
    private static readonly IpAddress s_local = IpAddress.Parse("10.0.0.1");

    [Fact]
    public void Table_GrowsAndShrinks_FindsWhatIsThereAndNothingElse()
    {
        using var connections = new Slab<TransmissionControlBlock>(4096);
        using var table = new FlowTable(connections, 16);
        var present = new Dictionary<int, int>();
        ulong state = 12345;
        for (int step = 0; step < 60_000; step++)
        {
            state = (state * 6364136223846793005) + 1442695040888963407;
            int key = (int)((state >> 33) % 3000);
            if (present.Remove(key, out int id))
            {
                table.Remove(id);
                connections.Return(id);
            }
            else if (step < 30_000 || key % 3 == 0)
            {
                present[key] = Add(connections, table, key);
            }

            Assert.Equal(present.Count, table.Count);
            int probe = (int)((state >> 20) % 3000);
            Assert.Equal(present.GetValueOrDefault(probe), Find(table, probe));
        }

        for (int key = 0; key < 3000; key++)
        {
            Assert.Equal(present.GetValueOrDefault(key), Find(table, key));
        }
    }

    private static int Add(Slab<TransmissionControlBlock> connections, FlowTable table, int key)
    {
        int id = connections.Rent();
        ref TransmissionControlBlock tcb = ref connections[id];
        tcb.Local = s_local;
        tcb.LocalPort = 80;
        tcb.Remote = Remote(key);
        tcb.RemotePort = (ushort)key;
        tcb.Hash = Hash(key);
        Assert.True(table.Add(id));
        return id;
    }

    private static int Find(FlowTable table, int key) => table.Find(s_local, 80, Remote(key), (ushort)key, Hash(key));

    private static IpAddress Remote(int key) => IpAddress.FromIpv4(0x0a010000u + (uint)key);

    // Few distinct values, so that runs are long and wrap around the table's end.
    private static uint Hash(int key) => 0xfffffff0u + (uint)(key % 13);
}
