// SPDX-License-Identifier: Apache-2.0
using System;
using System.Threading;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Bpf;

/// <summary>A descriptor of a BPF map, program or link. The kernel keeps it while any descriptor, pin or user is left.</summary>
public abstract class BpfHandle : IDisposable
{
    private int _descriptor;

    private protected BpfHandle(int descriptor) => _descriptor = descriptor;

    /// <summary>The file descriptor; -1 once disposed.</summary>
    public int Descriptor => _descriptor;

    /// <summary>Pins it to a file of a BPF file system, so that it outlives this process.</summary>
    /// <exception cref="BpfException">EEXIST when the file is there, EINVAL or EPERM when it is in no BPF file system.</exception>
    public void Pin(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        BpfException.Check(BpfSyscall.PinObject(Descriptor, path), BpfStep.Pin, path);
    }

    /// <summary>Closes the descriptor.</summary>
    public void Dispose()
    {
        int descriptor = Interlocked.Exchange(ref _descriptor, -1);
        if (descriptor >= 0)
        {
            _ = Libc.Close(descriptor);
        }

        GC.SuppressFinalize(this);
    }

    /// <summary>Opens a pinned object; -ENOENT when there is no such file.</summary>
    private protected static int OpenPinnedDescriptor(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return BpfSyscall.OpenPinned(path);
    }
}
