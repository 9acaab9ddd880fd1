// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;

namespace Pronghorn.Linux.Bpf;

/// <summary>
/// What is used of libbpf: relocating and loading an object file. It is loaded on first use, so that a machine without it
/// gets an error and not a program that does not start. Maps and links go through bpf(2).
/// </summary>
internal static unsafe partial class LibBpf
{
    public const string Library = "libbpf.so.1";

    /// <summary>Whether the library is on this machine.</summary>
    public static bool IsAvailable() => NativeLibrary.TryLoad(Library, out _);

    [LibraryImport(Library, EntryPoint = "libbpf_set_print")]
    public static partial nint SetPrint(nint function);

    [LibraryImport(Library, EntryPoint = "bpf_object__open_mem")]
    public static partial nint ObjectOpen(byte* memory, nuint length, OpenOptions* options);

    [LibraryImport(Library, EntryPoint = "bpf_object__load")]
    public static partial int ObjectLoad(nint bpfObject);

    [LibraryImport(Library, EntryPoint = "bpf_object__close")]
    public static partial void ObjectClose(nint bpfObject);

    [LibraryImport(Library, EntryPoint = "bpf_object__find_program_by_name")]
    public static partial nint ObjectFindProgram(nint bpfObject, byte* name);

    [LibraryImport(Library, EntryPoint = "bpf_program__fd")]
    public static partial int ProgramDescriptor(nint program);

    [LibraryImport(Library, EntryPoint = "bpf_object__find_map_fd_by_name")]
    public static partial int ObjectFindMap(nint bpfObject, byte* name);

    [LibraryImport(Library, EntryPoint = "libbpf_num_possible_cpus")]
    public static partial int PossibleProcessors();

    /// <summary>struct bpf_object_open_opts of libbpf 1.0; the size tells the library how much of it is there.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct OpenOptions
    {
        public nuint Size;
        public byte* ObjectName;
        public byte RelaxedMaps;
        public byte* PinRootPath;
        public byte* KernelConfiguration;
        public byte* BtfCustomPath;
        public byte* KernelLog;
        public nuint KernelLogSize;
        public uint KernelLogLevel;
    }
}
