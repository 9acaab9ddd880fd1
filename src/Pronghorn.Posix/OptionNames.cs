// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Posix;

/// <summary>Levels of getsockopt(2).</summary>
internal static class OptionLevel
{
    public const int Ip = 0;
    public const int Socket = 1;
    public const int Tcp = 6;
    public const int Ipv6 = 41;
}

/// <summary>SOL_SOCKET, socket(7); the numbers of the generic ABI.</summary>
internal static class SocketOption
{
    public const int ReuseAddress = 2;
    public const int Type = 3;
    public const int Error = 4;
    public const int SendBuffer = 7;
    public const int ReceiveBuffer = 8;
    public const int KeepAlive = 9;
    public const int Linger = 13;
    public const int ReceiveLowWater = 18;
    public const int SendLowWater = 19;
    public const int ReceiveTimeout = 20;
    public const int SendTimeout = 21;
    public const int AcceptConnections = 30;
    public const int SendBufferForce = 32;
    public const int ReceiveBufferForce = 33;
    public const int Protocol = 38;
    public const int Domain = 39;
    public const int ReceiveTimeoutNew = 66;
    public const int SendTimeoutNew = 67;
}

/// <summary>IPPROTO_TCP, tcp(7).</summary>
internal static class TcpOption
{
    public const int NoDelay = 1;
    public const int MaximumSegment = 2;
    public const int Cork = 3;
    public const int KeepIdle = 4;
    public const int KeepInterval = 5;
    public const int KeepCount = 6;
    public const int SynCount = 7;
    public const int Linger2 = 8;
    public const int DeferAccept = 9;
    public const int WindowClamp = 10;
    public const int Information = 11;
    public const int QuickAck = 12;
    public const int Congestion = 13;
    public const int UserTimeout = 18;
    public const int FastOpen = 23;
    public const int NotSentLowWater = 25;
    public const int FastOpenConnect = 30;
}

/// <summary>IPPROTO_IPV6, ipv6(7).</summary>
internal static class Ipv6Option
{
    public const int Ipv6Only = 26;
}

/// <summary>IPPROTO_IP, ip(7).</summary>
internal static class IpOption
{
    public const int TypeOfService = 1;
    public const int TimeToLive = 2;
}
