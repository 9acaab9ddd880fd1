// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Reflection;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Bpf;

public sealed unsafe partial class SteeringProgram
{
    private const string ResourceName = "steer.bpf.o";

    /// <summary>Loads the program and makes its maps. Nothing is attached yet.</summary>
    /// <param name="program">The program, or null on an error.</param>
    /// <param name="failedStep">Which step failed.</param>
    /// <returns>0, or the negative error number of the step that failed.</returns>
    /// <remarks>Allocates managed memory; meant for start-up.</remarks>
    public static int Load(out SteeringProgram? program, out SteeringStep failedStep)
    {
        program = null;
        failedStep = SteeringStep.FindLibrary;
        if (!LibBpf.IsAvailable())
        {
            return -Errno.NoEntry;
        }

        // libbpf would print to the application's standard error; the error number says what is needed.
        BpfLog.Silence();
        failedStep = SteeringStep.OpenObject;
        nint bpfObject = OpenObject();
        if (bpfObject == 0)
        {
            return -Errno.Invalid;
        }

        failedStep = SteeringStep.Load;
        int result = LibBpf.ObjectLoad(bpfObject);
        result = result < 0 ? result : Take(bpfObject, out program);
        LibBpf.ObjectClose(bpfObject);
        failedStep = result < 0 ? SteeringStep.Load : SteeringStep.None;
        return result;
    }

    private static nint OpenObject()
    {
        using Stream? stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(ResourceName);
        if (stream is null)
        {
            return 0;
        }

        byte[] image = new byte[stream.Length];
        stream.ReadExactly(image);
        fixed (byte* pointer = image)
        fixed (byte* name = "pronghorn"u8)
        {
            var options = new LibBpf.OpenOptions { Size = (nuint)sizeof(LibBpf.OpenOptions), ObjectName = name };
            return LibBpf.ObjectOpen(pointer, (nuint)image.Length, &options);
        }
    }

    /// <summary>Copies the descriptors in use, so that the object, with all that it parsed, can be closed.</summary>
    private static int Take(nint bpfObject, out SteeringProgram? program)
    {
        program = null;
        int fd = Copy(LibBpf.ProgramDescriptor(FindProgram(bpfObject, "pronghorn_steer"u8)));
        int owned = Copy(FindMap(bpfObject, "owned_ports"u8));
        int sockets = Copy(FindMap(bpfObject, "xsks"u8));
        int counters = Copy(FindMap(bpfObject, "counters"u8));
        int processors = LibBpf.PossibleProcessors();
        int worst = Math.Min(Math.Min(fd, owned), Math.Min(sockets, Math.Min(counters, processors)));
        var made = new SteeringProgram(fd, owned, sockets, counters, Math.Max(processors, 1));
        if (worst < 0)
        {
            made.Dispose();
            return worst;
        }

        program = made;
        return 0;
    }

    private static int Copy(int fd) => fd < 0 ? fd : Libc.Duplicate(fd);

    private static nint FindProgram(nint bpfObject, ReadOnlySpan<byte> name)
    {
        fixed (byte* pointer = name)
        {
            return LibBpf.ObjectFindProgram(bpfObject, pointer);
        }
    }

    private static int FindMap(nint bpfObject, ReadOnlySpan<byte> name)
    {
        fixed (byte* pointer = name)
        {
            return LibBpf.ObjectFindMap(bpfObject, pointer);
        }
    }
}
