// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Bpf;

/// <summary>The commands of bpf(2) in use. Results are 0 or a descriptor, or the negative error number.</summary>
internal static unsafe partial class BpfSyscall
{
    public const int AttachTypeXdp = 37;

    // struct bpf_prog_info
    public const int CompiledLengthOffset = 16;
    public const int TranslatedLengthOffset = 20;
    public const int NameOffset = 64;
    private const int InformationLength = 256;

    private const int MapLookup = 1;
    private const int MapUpdate = 2;
    private const int MapDelete = 3;
    private const int ProgramTestRun = 10;
    private const int ProgramById = 13;
    private const int ObjectInformation = 15;
    private const int LinkCreate = 28;

    public static int LookupElement(int map, void* key, void* value)
    {
        var attributes = new ElementAttributes { Map = (uint)map, Key = (ulong)key, Value = (ulong)value };
        return (int)Libc.Bpf(MapLookup, &attributes, sizeof(ElementAttributes));
    }

    public static int UpdateElement(int map, void* key, void* value)
    {
        var attributes = new ElementAttributes { Map = (uint)map, Key = (ulong)key, Value = (ulong)value };
        return (int)Libc.Bpf(MapUpdate, &attributes, sizeof(ElementAttributes));
    }

    public static int DeleteElement(int map, void* key)
    {
        var attributes = new ElementAttributes { Map = (uint)map, Key = (ulong)key };
        return (int)Libc.Bpf(MapDelete, &attributes, sizeof(ElementAttributes));
    }

    /// <summary>Attaches a program to an interface for as long as the returned descriptor, or a copy of it, is open.</summary>
    public static int CreateXdpLink(int program, int interfaceIndex, uint flags)
    {
        var attributes = new LinkAttributes
        {
            Program = (uint)program,
            InterfaceIndex = (uint)interfaceIndex,
            AttachType = AttachTypeXdp,
            Flags = flags,
        };
        return (int)Libc.Bpf(LinkCreate, &attributes, sizeof(LinkAttributes));
    }

    /// <summary>The name of a loaded program, by its id.</summary>
    public static int GetProgramName(uint programId, out InterfaceName name)
    {
        name = default;
        uint* byId = stackalloc uint[3] { programId, 0, 0 };
        int fd = (int)Libc.Bpf(ProgramById, byId, 3 * sizeof(uint));
        if (fd < 0)
        {
            return fd;
        }

        byte* information = stackalloc byte[InformationLength];
        int result = GetInformation(fd, information);
        _ = Libc.Close(fd);
        if (result == 0)
        {
            name = InterfaceName.FromBytes(new System.ReadOnlySpan<byte>(information + NameOffset, InterfaceName.Capacity));
        }

        return result;
    }

    /// <summary>Loads a socket filter that does nothing: r0 = 0; exit.</summary>
    public static int LoadTrivialProgram()
    {
        const uint SocketFilter = 1;
        ulong* instructions = stackalloc ulong[2] { 0xb7, 0x95 };
        System.ReadOnlySpan<byte> terms = "GPL\0"u8;
        fixed (byte* license = terms)
        {
            var attributes = new LoadAttributes
            {
                Type = SocketFilter,
                InstructionCount = 2,
                Instructions = (ulong)instructions,
                License = (ulong)license,
            };
            return (int)Libc.Bpf(ProgramLoad, &attributes, sizeof(LoadAttributes));
        }
    }

    /// <summary>Bytes of a loaded program after verification, and of the machine code made of it: 0 when it is interpreted.</summary>
    public static int GetLengths(int program, out uint translated, out uint compiled)
    {
        byte* information = stackalloc byte[InformationLength];
        int result = GetInformation(program, information);
        compiled = *(uint*)(information + CompiledLengthOffset);
        translated = *(uint*)(information + TranslatedLengthOffset);
        return result;
    }

    private static int GetInformation(int program, byte* information)
    {
        new System.Span<byte>(information, InformationLength).Clear();
        var attributes = new InformationAttributes
        {
            Descriptor = (uint)program,
            Length = InformationLength,
            Information = (ulong)information,
        };
        return (int)Libc.Bpf(ObjectInformation, &attributes, sizeof(InformationAttributes));
    }

    /// <summary>Runs a program once over a packet and returns its verdict, or the negative error number.</summary>
    public static int RunProgram(int program, System.ReadOnlySpan<byte> packet)
    {
        fixed (byte* pointer = packet)
        {
            var attributes = new TestRunAttributes
            {
                Program = (uint)program,
                DataLength = (uint)packet.Length,
                Data = (ulong)pointer,
                Repeat = 1,
            };
            int result = (int)Libc.Bpf(ProgramTestRun, &attributes, sizeof(TestRunAttributes));
            return result < 0 ? result : (int)attributes.Verdict;
        }
    }

    /// <summary>BPF_PROG_TEST_RUN.</summary>
    public static int RunTest(ref TestRunAttributes attributes)
    {
        fixed (TestRunAttributes* pointer = &attributes)
        {
            return (int)Libc.Bpf(ProgramTestRun, pointer, sizeof(TestRunAttributes));
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct ElementAttributes
    {
        public uint Map;
        public uint Padding;
        public ulong Key;
        public ulong Value;
        public ulong Flags;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct LinkAttributes
    {
        public uint Program;
        public uint InterfaceIndex;
        public uint AttachType;
        public uint Flags;
        public ulong Reserved;
        public ulong Reserved2;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct InformationAttributes
    {
        public uint Descriptor;
        public uint Length;
        public ulong Information;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct TestRunAttributes
    {
        public uint Program;
        public uint Verdict;
        public uint DataLength;
        public uint OutputLength;
        public ulong Data;
        public ulong Output;
        public uint Repeat;
        public uint Duration;
        public uint ContextLength;
        public uint ContextOutputLength;
        public ulong Context;
        public ulong ContextOutput;
        public uint Flags;
        public uint Processor;
        public uint BatchSize;
        public uint Padding;
    }
}
