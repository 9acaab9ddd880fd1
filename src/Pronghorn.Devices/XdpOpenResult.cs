// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics.CodeAnalysis;

namespace Pronghorn.Devices;

/// <summary>An opened device, or why there is none.</summary>
public sealed class XdpOpenResult
{
    internal XdpOpenResult(XdpDevice device)
    {
        Device = device;
        Message = string.Empty;
        Advice = string.Empty;
    }

    internal XdpOpenResult(XdpDeviceError error, int errorNumber, string message, string advice)
    {
        Error = error;
        ErrorNumber = errorNumber;
        Message = message;
        Advice = advice;
    }

    /// <summary>Says that something around the device failed, in the same form as its own errors.</summary>
    /// <param name="interfaceName">The interface.</param>
    /// <param name="result">The negative error number.</param>
    /// <param name="action">What could not be done.</param>
    public static XdpOpenResult ForFailure(string interfaceName, int result, string action) =>
        XdpErrors.Failed(interfaceName, result, action);

    /// <summary>The device; null on an error.</summary>
    public XdpDevice? Device { get; }

    /// <summary>What kind of error.</summary>
    public XdpDeviceError Error { get; }

    /// <summary>The error number of the system call behind it (positive), or 0.</summary>
    public int ErrorNumber { get; }

    /// <summary>What was wrong, and where; one line without a full stop.</summary>
    public string Message { get; }

    /// <summary>What to do about it; one sentence.</summary>
    public string Advice { get; }

    /// <summary>Whether there is a device.</summary>
    [MemberNotNullWhen(true, nameof(Device))]
    public bool Succeeded => Device is not null;
}
