// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Linux.Interop;

/// <summary>Constants of the generic Linux ABI (x86-64 and arm64 agree on all of them).</summary>
internal static class Constants
{
    public const int AddressFamilyInet = 2;
    public const int AddressFamilyInet6 = 10;
    public const int AddressFamilyNetlink = 16;
    public const int AddressFamilyXdp = 44;

    public const int SocketDatagram = 2;
    public const int SocketRaw = 3;
    public const int SocketNonBlocking = 0x800;
    public const int SocketCloseOnExec = 0x80000;

    public const int SocketLevel = 1;
    public const int SocketSendBufferForce = 32;
    public const int SocketReceiveBufferForce = 33;
    public const int SocketPreferBusyPoll = 69;
    public const int SocketNamespaceCookie = 71;

    public const int MessageDontWait = 0x40;
    public const int MessageTruncate = 0x20;

    public const int ProtectionRead = 1;
    public const int ProtectionWrite = 2;
    public const int MapShared = 1;
    public const int MapAnonymous = 0x20;
    public const int MapPopulate = 0x8000;
    public const int AdviceDontFork = 10;

    public const int FcntlDuplicateCloseOnExec = 1030;

    public const int ResourceOpenFiles = 7;
    public const int ResourceLockedMemory = 8;

    public const int CloneNewNetwork = 0x40000000;

    public const nuint IoctlGetIndex = 0x8933;
    public const nuint IoctlGetMtu = 0x8921;
    public const nuint IoctlGetFlags = 0x8913;
    public const nuint IoctlGetHardwareAddress = 0x8927;
    public const nuint IoctlEthtool = 0x8946;

    public const short InterfaceUp = 1;
}
