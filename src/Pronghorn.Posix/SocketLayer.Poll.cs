// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Memory;
using Pronghorn.Stack.Tcp;

namespace Pronghorn.Posix;

/// <summary>struct pollfd (poll(2)).</summary>
[StructLayout(LayoutKind.Sequential)]
public struct PollDescriptor
{
    /// <summary>The descriptor; negative to be ignored.</summary>
    public int Descriptor;

    /// <summary>POLL* asked for.</summary>
    public short Events;

    /// <summary>POLL* found.</summary>
    public short Found;
}

/// <content>poll(2), and the threads that sleep in it or in a blocking call.</content>
public sealed partial class SocketLayer
{
    private const int MostSleepers = 4096;

    private readonly NativeArray<int> _sleeperEvents = new(MostSleepers);
    private int _sleepers;

    /// <summary>One round, then what our sockets among the descriptors are ready for. Others are left alone.</summary>
    /// <returns>How many of ours are ready.</returns>
    public int PollDescriptors(Span<PollDescriptor> descriptors, ref PollRound round)
    {
        Poll(ref round);
        int ready = 0;
        foreach (ref PollDescriptor item in descriptors)
        {
            int index = item.Descriptor < 0 ? 0 : FindSocket(item.Descriptor);
            if (index == 0)
            {
                continue;
            }

            uint readiness = index > 0 ? Expand(ReadinessOf(_sockets[index]))
                : HasReady(ref _sets[-index]) ? Polling.In | Polling.ReadNormal : 0;
            item.Found = (short)(readiness & ((ushort)item.Events | Polling.Always));
            ready += item.Found != 0 ? 1 : 0;
        }

        return ready;
    }

    /// <summary>A thread goes to sleep outside (1), or is back (-1); it is woken by an eventfd of its own.</summary>
    public void PollBlock(int eventDescriptor, int change)
    {
        if (change > 0)
        {
            _driver.BeforeSleep(_now, _activity);

            // Beyond the limit a sleeper still wakes by the device or its time.
            if (_sleepers < MostSleepers)
            {
                _sleeperEvents[_sleepers++] = eventDescriptor;
            }

            return;
        }

        for (int i = 0; i < _sleepers; i++)
        {
            if (_sleeperEvents[i] == eventDescriptor)
            {
                _sleeperEvents[i] = _sleeperEvents[--_sleepers];
                return;
            }
        }
    }

    private void WakeSleepers()
    {
        for (int i = 0; i < _sleepers; i++)
        {
            _kernel.SignalEvent(_sleeperEvents[i]);
        }
    }

    private bool HasReady(ref EpollSet set)
    {
        for (int at = set.ReadyHead; at != 0; at = _interests[at].ReadyNext)
        {
            if (Wants(_interests[at], ReadinessOf(_sockets[_interests[at].Socket])))
            {
                return true;
            }
        }

        return false;
    }
}
