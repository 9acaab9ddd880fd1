// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Linux.Bpf;
using Pronghorn.Posix;
using Pronghorn.Runtime;
using Pronghorn.Stack;
using Pronghorn.Wire;

namespace Pronghorn.Preload;

/// <summary>A shard as the socket layer sees it.</summary>
internal sealed class ShardDriver : IStackDriver
{
    private readonly Shard _shard;
    private readonly DeviceNotice _notice;
    private StatisticsPublisher? _statistics;

    public ShardDriver(Shard shard, DeviceNotice notice, StatisticsPublisher? statistics)
    {
        _shard = shard;
        _notice = notice;
        _statistics = statistics;
    }

    public NetworkStack Stack => _shard.Stack;

    public bool HasPending => _shard.HasPending;

    public int InterfaceId => _shard.InterfaceId;

    public bool TakeAddressChange()
    {
        bool changed = _shard.Mirror.AddressesChanged;
        _shard.Mirror.AddressesChanged = false;
        return changed;
    }

    public int Poll(Instant now)
    {
        _statistics?.Poll(now);
        int received = _shard.Poll(now);
        _notice.Poll();
        return received;
    }

    public Instant NextDeadline(long activity) => _statistics?.NextDeadline(activity) ?? Instant.Never;

    public void BeforeSleep(Instant now, long activity) => _statistics?.BeforeSleep(now, activity);

    public void Finish()
    {
        // Another thread may still poll while the process ends.
        _statistics?.Dispose();
        _statistics = null;
    }

    public void Flush() => _shard.Flush();

    public bool Reaches(in IpAddress destination, out IpAddress source) => _shard.Reaches(destination, out source);

    public int AddOwned(in IpAddress address, ushort port, EndSteering steering) =>
        _shard.Device.AddOwned(
            address,
            port,
            steering switch
            {
                EndSteering.Ours => SteeringOptions.None,
                EndSteering.CheckKernel => SteeringOptions.CheckKernel,
                _ => SteeringOptions.CheckKernel | SteeringOptions.Lingering,
            });

    public void RemoveOwned(in IpAddress address, ushort port) => _shard.Device.RemoveOwned(address, port);
}
