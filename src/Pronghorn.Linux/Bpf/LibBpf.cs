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

    [LibraryImport(Library, EntryPoint = "bpf_object__find_map_by_name")]
    public static partial nint ObjectFindMapObject(nint bpfObject, byte* name);

    [LibraryImport(Library, EntryPoint = "bpf_object__next_map")]
    public static partial nint ObjectNextMap(nint bpfObject, nint map);

    [LibraryImport(Library, EntryPoint = "bpf_object__next_program")]
    public static partial nint ObjectNextProgram(nint bpfObject, nint program);

    [LibraryImport(Library, EntryPoint = "bpf_program__name")]
    public static partial nint ProgramName(nint program);

    [LibraryImport(Library, EntryPoint = "bpf_program__set_autoload")]
    public static partial int ProgramSetAutoload(nint program, byte load);

    [LibraryImport(Library, EntryPoint = "bpf_map__name")]
    public static partial nint MapName(nint map);

    [LibraryImport(Library, EntryPoint = "bpf_map__fd")]
    public static partial int MapDescriptor(nint map);

    [LibraryImport(Library, EntryPoint = "bpf_map__pin_path")]
    public static partial nint MapPinPath(nint map);

    [LibraryImport(Library, EntryPoint = "bpf_map__set_pin_path")]
    public static partial int MapSetPinPath(nint map, byte* path);

    [LibraryImport(Library, EntryPoint = "bpf_map__inner_map")]
    public static partial nint MapInner(nint map);

    [LibraryImport(Library, EntryPoint = "bpf_map__initial_value")]
    public static partial nint MapInitialValue(nint map, nuint* size);

    [LibraryImport(Library, EntryPoint = "bpf_map__reuse_fd")]
    public static partial int MapReuse(nint map, int descriptor);

    [LibraryImport(Library, EntryPoint = "bpf_map__key_size")]
    public static partial uint MapKeySize(nint map);

    [LibraryImport(Library, EntryPoint = "bpf_map__value_size")]
    public static partial uint MapValueSize(nint map);

    [LibraryImport(Library, EntryPoint = "bpf_map__max_entries")]
    public static partial uint MapMaximumEntries(nint map);

    [LibraryImport(Library, EntryPoint = "bpf_map__set_max_entries")]
    public static partial int MapSetMaximumEntries(nint map, uint count);

    [LibraryImport(Library, EntryPoint = "bpf_map__set_value_size")]
    public static partial int MapSetValueSize(nint map, uint size);

    /// <summary>struct bpf_object_open_opts of libbpf 1.0; the size tells the library how much of it is there.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct OpenOptions
    {
        public nuint Size;
        public byte* ObjectName;
        public byte RelaxedMaps;
        public byte* PinRootPath;
        public uint Removed;
        public byte* KernelConfiguration;
        public byte* BtfCustomPath;
        public byte* KernelLog;
        public nuint KernelLogSize;
        public uint KernelLogLevel;
    }
}
