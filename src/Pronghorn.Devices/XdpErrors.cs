// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using Pronghorn.Linux;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;
using Pronghorn.Linux.Netlink;
using Pronghorn.Linux.Xdp;

namespace Pronghorn.Devices;

/// <summary>The words for what can go wrong when a device is opened.</summary>
internal static class XdpErrors
{
    private const string Privileges = $"Run as root, or with {RequiredCapabilities.Names}.";
    private const string Frames = XdpDeviceOptions.FrameCountVariable;

    public static XdpOpenResult BadOptions() => new(
        XdpDeviceError.BadOptions,
        Errno.Invalid,
        "frame or ring sizes are out of range",
        $"Use frames of 2048 or 4096 bytes, at least 128 of them ({Frames}), and rings that are powers of two from 64 to 32768.");

    public static XdpOpenResult InterfaceNotFound(string name) => new(
        XdpDeviceError.InterfaceNotFound,
        Errno.NoDevice,
        $"there is no network interface '{name}' in this network namespace",
        "Choose one that `ip link` lists.");

    public static XdpOpenResult MtuTooLarge(string name, int mtu, int largest, int frameSize) => new(
        XdpDeviceError.MtuTooLarge,
        0,
        Text($"the MTU of {name} is {mtu}, and a frame of {frameSize} bytes holds packets up to {largest}"),
        Text($"Lower it: ip link set {name} mtu {largest}."));

    public static XdpOpenResult TooManyQueues(string name, int queues, int largest) => new(
        XdpDeviceError.TooManyQueues,
        0,
        Text($"{name} has {queues} receive queues, and at most {largest} can be served with these frames"),
        $"Use fewer queues (ethtool -L {name} combined 1) or more frames ({Frames}).");

    public static XdpOpenResult OutOfMemory(string name, int result, long bytes) => new(
        XdpDeviceError.OutOfMemory,
        -result,
        Text($"{bytes >> 20} MiB of frames for {name} could not be mapped (error {-result})"),
        $"Use fewer frames ({Frames}).");

    public static XdpOpenResult Failed(string name, int result, string action) => new(
        XdpDeviceError.Failed,
        -result,
        Text($"{action} failed for {name} (error {-result})"),
        "See what `pronghorn doctor` finds.");

    public static XdpOpenResult FromSteering(string name, int result, SteeringStep step) => (step, -result) switch
    {
        (SteeringStep.FindLibrary, _) => new(
            XdpDeviceError.LibraryMissing,
            0,
            $"{LibBpfName} is not installed",
            "Install it: apt-get install libbpf1."),
        (_, Errno.OperationNotPermitted or Errno.AccessDenied) => NotPermitted(name, result, "load an XDP program"),
        _ => new(
            XdpDeviceError.ProgramRefused,
            -result,
            Text($"the kernel did not load the steering program (error {-result})"),
            "Linux 5.9 or later with CONFIG_BPF_SYSCALL, CONFIG_BPF_JIT and CONFIG_XDP_SOCKETS is needed."),
    };

    public static XdpOpenResult FromAttach(string name, int interfaceIndex, int result)
    {
        switch (-result)
        {
            case Errno.Busy or Errno.Exists:
                return Attached(name, interfaceIndex, result);
            case Errno.OperationNotPermitted or Errno.AccessDenied:
                return NotPermitted(name, result, "attach an XDP program");
            case Errno.NoDevice:
                return InterfaceNotFound(name);
            default:
                return new XdpOpenResult(
                    XdpDeviceError.XdpNotSupported,
                    -result,
                    Text($"{name} takes no XDP program (error {-result})"),
                    "Linux 5.9 or later is needed, and with a driver's own XDP an MTU that it supports.");
        }
    }

    public static XdpOpenResult FromSocket(
        string name,
        int queue,
        int result,
        XskStep step,
        XskCopyMode mode,
        long bytes) => (step, -result) switch
        {
            (XskStep.Socket, Errno.AddressFamilyNotSupported) or (XskStep.Rings, Errno.NotSupported) => new(
                XdpDeviceError.XdpSocketsMissing,
                -result,
                "this kernel has no AF_XDP sockets",
                "Use Linux 5.9 or later with CONFIG_XDP_SOCKETS=y."),
            (_, Errno.OperationNotPermitted or Errno.AccessDenied) => NotPermitted(name, result, "open an AF_XDP socket"),
            (XskStep.RegisterMemory, Errno.NoBuffers) => new(
                XdpDeviceError.LockedMemoryLimit,
                -result,
                Text($"{bytes >> 20} MiB of frames for {name} may not be locked in memory (RLIMIT_MEMLOCK)"),
                Text($"Raise the limit (ulimit -l {bytes >> 10}, or LimitMEMLOCK=infinity), ")
                    + $"grant CAP_IPC_LOCK, or use fewer frames ({Frames})."),
            (_, Errno.NoMemory) => OutOfMemory(name, result, bytes),
            (XskStep.Bind, Errno.Busy) => new(
                XdpDeviceError.QueueInUse,
                -result,
                Text($"another AF_XDP socket is bound to queue {queue} of {name}"),
                "Stop the program that has it: `ss -a --xdp -p` lists it."),
            (XskStep.Bind, Errno.NotSupported) when mode == XskCopyMode.ZeroCopy => new(
                XdpDeviceError.ZeroCopyNotSupported,
                -result,
                $"the driver of {name} has no zero-copy",
                "Leave the copy mode automatic."),
            _ => Failed(name, result, Text($"opening an AF_XDP socket on queue {queue} ({step})")),
        };

    private static string LibBpfName => "libbpf.so.1";

    private static XdpOpenResult NotPermitted(string name, int result, string action) => new(
        XdpDeviceError.NotPermitted,
        -result,
        $"no permission to {action} on {name}",
        Privileges);

    private static XdpOpenResult Attached(string name, int interfaceIndex, int result)
    {
        _ = XdpAttachment.Query(interfaceIndex, out XdpAttachment attachment);
        if (attachment.ProgramName.Equals(SteeringProgram.KernelName))
        {
            return new XdpOpenResult(
                XdpDeviceError.DeviceInUse,
                -result,
                $"another Pronghorn process has {name}",
                "One process at a time can own an interface in this mode; stop the other one or use another interface.");
        }

        return new XdpOpenResult(
            XdpDeviceError.ForeignProgramAttached,
            -result,
            Text($"XDP program '{attachment.ProgramName.ToString()}' (id {attachment.ProgramId}) is attached to {name}"),
            $"Detach it if it is not needed: ip link set {name} xdp off (a link: bpftool link).");
    }

    private static string Text(System.FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
