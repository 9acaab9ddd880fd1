// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Reflection;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Bpf;

/// <summary>
/// A BPF object file on its way into the kernel: opened, set up, loaded; then its maps and programs can be taken out. Every
/// failure is a <see cref="BpfException"/> with the step, the error and what libbpf and the verifier said.
/// </summary>
/// <remarks>Not for use by several threads at once.</remarks>
public sealed unsafe class BpfObject : IDisposable
{
    // Touched only as far as the verifier writes.
    private const int VerifierLogLength = 16 << 20;

    private readonly string _name;
    private readonly byte* _verifierLog;
    private nint _object;

    private BpfObject(nint bpfObject, string name, byte* verifierLog)
    {
        _object = bpfObject;
        _name = name;
        _verifierLog = verifierLog;
    }

    /// <summary>Names of its maps, the compiler's own (.rodata and such) included.</summary>
    public IReadOnlyList<string> MapNames
    {
        get
        {
            List<string> names = [];
            for (nint map = LibBpf.ObjectNextMap(Object, 0); map != 0; map = LibBpf.ObjectNextMap(Object, map))
            {
                names.Add(Marshal.PtrToStringUTF8(LibBpf.MapName(map))!);
            }

            return names;
        }
    }

    /// <summary>Names of its programs.</summary>
    public IReadOnlyList<string> ProgramNames
    {
        get
        {
            List<string> names = [];
            for (nint program = LibBpf.ObjectNextProgram(Object, 0); program != 0; program = LibBpf.ObjectNextProgram(Object, program))
            {
                names.Add(Marshal.PtrToStringUTF8(LibBpf.ProgramName(program))!);
            }

            return names;
        }
    }

    private nint Object => _object != 0 ? _object : throw new ObjectDisposedException(_name);

    /// <summary>Opens an object file that is embedded in an assembly.</summary>
    /// <param name="assembly">The assembly.</param>
    /// <param name="resource">Name of the resource, such as "steer.bpf.o".</param>
    /// <param name="pinRoot">
    /// Folder of a BPF file system for maps that are pinned by name; one that is there already is used. Null: nothing is pinned.
    /// </param>
    public static BpfObject OpenResource(Assembly assembly, string resource, string? pinRoot = null)
    {
        ArgumentNullException.ThrowIfNull(assembly);
        using Stream stream = assembly.GetManifestResourceStream(resource)
            ?? throw new BpfException(BpfStep.OpenObject, resource, Errno.NoEntry);
        byte[] image = new byte[stream.Length];
        stream.ReadExactly(image);
        return Open(image, Path.GetFileNameWithoutExtension(resource).Replace('.', '_'), pinRoot);
    }

    /// <summary>Opens an object file.</summary>
    /// <param name="image">Its bytes; not needed any more afterwards.</param>
    /// <param name="name">Name for messages and, its first 15 bytes, for the kernel.</param>
    /// <param name="pinRoot">See <see cref="OpenResource"/>.</param>
    public static BpfObject Open(ReadOnlySpan<byte> image, string name, string? pinRoot = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (!LibBpf.IsAvailable())
        {
            throw new BpfException(BpfStep.FindLibrary, LibBpf.Library, Errno.NoEntry, "install libbpf (Debian: apt install libbpf1)");
        }

        nint opened = 0;
        byte* log = (byte*)NativeMemory.AllocZeroed(VerifierLogLength);
        byte[] nameBytes = BpfSyscall.Terminated(name);
        byte[]? rootBytes = pinRoot is null ? null : BpfSyscall.Terminated(pinRoot);
        fixed (byte* pointer = image, namePointer = nameBytes, rootPointer = rootBytes)
        {
            var options = new LibBpf.OpenOptions
            {
                Size = (nuint)sizeof(LibBpf.OpenOptions),
                ObjectName = namePointer,
                PinRootPath = rootPointer,
                KernelLog = log,
                KernelLogSize = VerifierLogLength,
            };
            nint memory = (nint)pointer;
            nint optionsPointer = (nint)(&options);
            nuint length = (nuint)image.Length;
            int result = BpfLog.Capture(
                () =>
                {
                    opened = LibBpf.ObjectOpen((byte*)memory, length, (LibBpf.OpenOptions*)optionsPointer);
                    return opened != 0 ? 0 : -Marshal.GetLastSystemError();
                },
                out string warnings);
            if (result < 0)
            {
                NativeMemory.Free(log);
                throw new BpfException(BpfStep.OpenObject, name, -result, warnings);
            }
        }

        if (pinRoot is null)
        {
            // A map that asks to be pinned by its name would be, in the usual place.
            for (nint map = LibBpf.ObjectNextMap(opened, 0); map != 0; map = LibBpf.ObjectNextMap(opened, map))
            {
                _ = LibBpf.MapSetPinPath(map, null);
            }
        }

        return new BpfObject(opened, name, log);
    }

    /// <summary>Sets how many elements a map holds.</summary>
    public void SetMaximumEntries(string map, uint count) =>
        SetUp(map, LibBpf.MapSetMaximumEntries(FindMap(map), count));

    /// <summary>Sets the bytes of a map's value. A program must not rely on another size.</summary>
    public void SetValueSize(string map, uint size) => SetUp(map, LibBpf.MapSetValueSize(FindMap(map), size));

    /// <summary>Sets the bytes of a value of the maps in a map of maps.</summary>
    public void SetInnerValueSize(string map, uint size) => SetUp(map, LibBpf.MapSetValueSize(FindInner(map), size));

    /// <summary>Sets how many elements the maps in a map of maps hold.</summary>
    public void SetInnerMaximumEntries(string map, uint count) => SetUp(map, LibBpf.MapSetMaximumEntries(FindInner(map), count));

    /// <summary>Uses a map that exists instead of making one.</summary>
    public void ReuseMap(string map, BpfMap existing)
    {
        ArgumentNullException.ThrowIfNull(existing);
        SetUp(map, LibBpf.MapReuse(FindMap(map), existing.Descriptor));
    }

    /// <summary>Chooses whether a program is loaded with the object; all are unless said otherwise.</summary>
    public void SetAutoload(string program, bool load) =>
        SetUp(program, LibBpf.ProgramSetAutoload(FindProgram(program), load ? (byte)1 : (byte)0));

    /// <summary>
    /// Writes the read-only data (const volatile variables) that programs see, before they are loaded, so that the verifier knows
    /// the values.
    /// </summary>
    /// <param name="offset">Byte in the section .rodata.</param>
    /// <param name="value">The value.</param>
    public void SetReadOnlyData<T>(int offset, in T value)
        where T : unmanaged
    {
        nuint size = 0;
        nint data = 0;
        foreach (string name in MapNames)
        {
            if (name.EndsWith(".rodata", StringComparison.Ordinal))
            {
                data = LibBpf.MapInitialValue(FindMap(name), &size);
            }
        }

        if (data == 0 || offset < 0 || (nuint)(offset + sizeof(T)) > size)
        {
            throw new BpfException(BpfStep.SetUp, _name, Errno.NoEntry, $"no byte {offset} in section .rodata of {size} bytes");
        }

        *(T*)(data + offset) = value;
    }

    /// <summary>Makes the maps and loads the programs. Pinned maps that are there must have the sizes that were set.</summary>
    public void Load()
    {
        CheckPins();
        int result = BpfLog.Capture(() => LibBpf.ObjectLoad(Object), out string warnings);
        if (result < 0)
        {
            string verifier = BpfLog.LastLines(new ReadOnlySpan<byte>(_verifierLog, VerifierLogLength));
            throw new BpfException(BpfStep.Load, _name, -result, verifier.Length == 0 ? warnings : $"{warnings}\n{verifier}");
        }
    }

    /// <summary>A map of the loaded object, as a descriptor of its own.</summary>
    public BpfMap GetMap(string name) => BpfMap.FromDescriptor(LibBpf.MapDescriptor(FindMap(name)));

    /// <summary>A program of the loaded object, as a descriptor of its own.</summary>
    public BpfProgram GetProgram(string name) => BpfProgram.FromDescriptor(LibBpf.ProgramDescriptor(FindProgram(name)), name);

    /// <summary>Frees what was parsed. Maps and programs that were taken out stay.</summary>
    public void Dispose()
    {
        if (_object != 0)
        {
            LibBpf.ObjectClose(_object);
            NativeMemory.Free(_verifierLog);
            _object = 0;
        }
    }

    private nint FindMap(string name)
    {
        fixed (byte* pointer = BpfSyscall.Terminated(name))
        {
            nint map = LibBpf.ObjectFindMapObject(Object, pointer);
            return map != 0 ? map : throw new BpfException(BpfStep.SetUp, _name, Errno.NoEntry, $"it has no map {name}");
        }
    }

    private nint FindInner(string name)
    {
        nint inner = LibBpf.MapInner(FindMap(name));
        return inner != 0 ? inner : throw new BpfException(BpfStep.SetUp, _name, Errno.Invalid, $"{name} is no map of maps");
    }

    private nint FindProgram(string name)
    {
        fixed (byte* pointer = BpfSyscall.Terminated(name))
        {
            nint program = LibBpf.ObjectFindProgram(Object, pointer);
            return program != 0 ? program : throw new BpfException(BpfStep.SetUp, _name, Errno.NoEntry, $"it has no program {name}");
        }
    }

    private void SetUp(string what, int result)
    {
        if (result < 0)
        {
            throw new BpfException(BpfStep.SetUp, $"{_name}, {what}", -result);
        }
    }

    /// <summary>libbpf refuses a pinned map of other sizes without saying which; so they are compared here first.</summary>
    private void CheckPins()
    {
        foreach (string name in MapNames)
        {
            nint map = FindMap(name);
            string? path = Marshal.PtrToStringUTF8(LibBpf.MapPinPath(map));
            if (path is null || BpfMap.TryOpenPinned(path) is not BpfMap pinned)
            {
                continue;
            }

            using (pinned)
            {
                var wanted = (LibBpf.MapKeySize(map), LibBpf.MapValueSize(map), LibBpf.MapMaximumEntries(map));
                var there = ((uint)pinned.KeySize, (uint)pinned.ValueSize, pinned.MaximumEntries);
                if (wanted != there)
                {
                    throw new BpfException(
                        BpfStep.Load,
                        _name,
                        Errno.Exists,
                        $"{path} is pinned with (key bytes, value bytes, entries) {there}, and {wanted} is wanted: "
                        + "set the former size, or remove the file");
                }
            }
        }
    }
}
