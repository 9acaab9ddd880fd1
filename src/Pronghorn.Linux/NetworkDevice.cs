// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Linux.Interop;
using Pronghorn.Wire;

namespace Pronghorn.Linux;

/// <summary>What the kernel says of one interface at one moment.</summary>
/// <param name="Index">The interface's index in this network namespace.</param>
/// <param name="Mac">Its hardware address; zero when it has none.</param>
/// <param name="Mtu">Largest network-layer packet in bytes.</param>
/// <param name="IsUp">Whether it is administratively up.</param>
/// <param name="ReceiveQueues">Receive queues in use, at least 1.</param>
/// <param name="Driver">Name of the driver, as "veth"; empty when the driver does not tell.</param>
public readonly record struct NetworkDevice(
    int Index,
    MacAddress Mac,
    int Mtu,
    bool IsUp,
    int ReceiveQueues,
    InterfaceName Driver)
{
    private const uint EthtoolDriverInformation = 3;
    private const uint EthtoolChannels = 0x3c;

    /// <summary>Looks an interface up by name (netdevice(7), SIOCETHTOOL).</summary>
    /// <returns>0, or a negative error number: -ENODEV when there is none of that name.</returns>
    public static unsafe int Query(in InterfaceName name, out NetworkDevice device)
    {
        device = default;
        int socket = Libc.Socket(
            Constants.AddressFamilyInet, Constants.SocketDatagram | Constants.SocketCloseOnExec, 0);
        if (socket < 0)
        {
            return socket;
        }

        var request = new InterfaceRequest { Name = name };
        int result = Libc.InputOutputControl(socket, Constants.IoctlGetIndex, &request);
        int index = request.Integer;
        result = result < 0 ? result : Libc.InputOutputControl(socket, Constants.IoctlGetMtu, &request);
        int mtu = request.Integer;
        result = result < 0 ? result : Libc.InputOutputControl(socket, Constants.IoctlGetFlags, &request);
        bool up = (request.Flags & Constants.InterfaceUp) != 0;
        result = result < 0 ? result : Libc.InputOutputControl(socket, Constants.IoctlGetHardwareAddress, &request);
        if (result >= 0)
        {
            ReadOnlySpan<byte> hardware = request.Hardware;
            MacAddress mac = MacAddress.Read(hardware);
            int queues = QueryQueues(socket, name);
            device = new NetworkDevice(index, mac, mtu, up, queues, QueryDriver(socket, name));
        }

        _ = Libc.Close(socket);
        return Math.Min(result, 0);
    }

    private static unsafe int QueryQueues(int socket, in InterfaceName name)
    {
        var channels = new DeviceChannels { Command = EthtoolChannels };
        var request = new InterfaceRequest { Name = name, Pointer = (nint)(&channels) };
        int result = Libc.InputOutputControl(socket, Constants.IoctlEthtool, &request);
        return result < 0 ? 1 : (int)Math.Max(1, Math.Max(channels.Combined, channels.Receive));
    }

    private static unsafe InterfaceName QueryDriver(int socket, in InterfaceName name)
    {
        var information = new DriverInformation { Command = EthtoolDriverInformation };
        var request = new InterfaceRequest { Name = name, Pointer = (nint)(&information) };
        int result = Libc.InputOutputControl(socket, Constants.IoctlEthtool, &request);
        return result < 0 ? default : InterfaceName.FromBytes(information.Driver);
    }
}
