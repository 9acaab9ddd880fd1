// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Linux.Tcp;

namespace Pronghorn.Lab.Cdn.Load;

/// <summary>What clients ask for.</summary>
public sealed record LoadOptions
{
    /// <summary>Where.</summary>
    public required TcpEnd Target { get; init; }

    /// <summary>Connections at a time; each asks for one file after another.</summary>
    public int Connections { get; init; } = 16;

    /// <summary>Requests of a connection before it is closed and another one opened.</summary>
    public int Requests { get; init; } = 8;

    /// <summary>How many different files there are.</summary>
    public int Files { get; init; } = 32;

    /// <summary>Bytes of each.</summary>
    public long Size { get; init; } = 4 << 20;

    /// <summary>Of 100 requests on a connection, how many are for another file than the one before.</summary>
    public int SwitchPercent { get; init; } = 100;

    /// <summary>Seconds before what is counted begins.</summary>
    public double WarmUp { get; init; } = 0.5;

    /// <summary>Seconds that are counted.</summary>
    public double Seconds { get; init; } = 2;

    /// <summary>Whether every byte is compared with what it should be. Without, they are discarded in the kernel.</summary>
    public bool Checks { get; init; }
}
