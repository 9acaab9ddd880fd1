// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.Text;
using Pronghorn.Runtime;

namespace Pronghorn.Preload;

/// <summary>Tells the user, once each time, what happens to the device's interface while the program runs.</summary>
internal sealed unsafe class DeviceNotice
{
    private readonly Shard _shard;
    private readonly string _interface;
    private readonly delegate* unmanaged<byte*, int, void> _tell;
    private bool _toldGone;
    private bool _toldMtu;

    public DeviceNotice(Shard shard, string interfaceName, in KernelTable kernel)
    {
        _shard = shard;
        _interface = interfaceName;
        _tell = kernel.Tell;
    }

    /// <summary>Looks at what the mirror knows. Costs two comparisons as long as nothing has happened.</summary>
    public void Poll()
    {
        if (_shard.Mirror.IsDeviceGone && !_toldGone)
        {
            _toldGone = true;
            Tell(
                $"the interface {_interface} is gone (deleted, or moved to another network namespace); connections on it are "
                + "lost, and new ones take the kernel's path until the program is started again",
                isLost: true);
        }

        bool isOversized = _shard.Mirror.DeviceMtu > _shard.Device.LargestMtu;
        if (isOversized == _toldMtu)
        {
            return;
        }

        _toldMtu = isOversized;
        if (isOversized)
        {
            int largest = _shard.Device.LargestMtu;
            Tell(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"the MTU of {_interface} is now {_shard.Mirror.DeviceMtu}, and a frame holds packets up to {largest}; going on with "
                    + $"{largest}, but a new start needs: ip link set {_interface} mtu {largest}"),
                isLost: false);
        }
    }

    private void Tell(string line, bool isLost)
    {
        fixed (byte* text = Encoding.UTF8.GetBytes(line + "\0"))
        {
            _tell(text, isLost ? 1 : 0);
        }
    }
}
