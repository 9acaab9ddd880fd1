// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using System.Text;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Bpf;

/// <content>Descriptors: pins, ids, information; links.</content>
internal static unsafe partial class BpfSyscall
{
    private const int ProgramLoad = 5;
    private const int ObjectPin = 6;
    private const int ObjectGet = 7;
    private const int MapById = 14;
    private const int LinkUpdate = 29;
    private const int LinkDetach = 34;

    private const uint ReplaceOldProgram = 1u << 2;

    public static int PinObject(int descriptor, string path)
    {
        fixed (byte* name = Terminated(path))
        {
            var attributes = new PathAttributes { Path = (ulong)name, Descriptor = (uint)descriptor };
            return (int)Libc.Bpf(ObjectPin, &attributes, sizeof(PathAttributes));
        }
    }

    public static int OpenPinned(string path)
    {
        fixed (byte* name = Terminated(path))
        {
            var attributes = new PathAttributes { Path = (ulong)name };
            return (int)Libc.Bpf(ObjectGet, &attributes, sizeof(PathAttributes));
        }
    }

    public static int OpenMapById(uint id)
    {
        uint* byId = stackalloc uint[3] { id, 0, 0 };
        return (int)Libc.Bpf(MapById, byId, 3 * sizeof(uint));
    }

    public static int OpenProgramById(uint id)
    {
        uint* byId = stackalloc uint[3] { id, 0, 0 };
        return (int)Libc.Bpf(ProgramById, byId, 3 * sizeof(uint));
    }

    /// <summary>Fills struct bpf_map_info, bpf_prog_info or bpf_link_info, as far as the kernel and the span go.</summary>
    public static int GetInformation(int descriptor, Span<byte> information)
    {
        information.Clear();
        fixed (byte* pointer = information)
        {
            var attributes = new InformationAttributes
            {
                Descriptor = (uint)descriptor,
                Length = (uint)information.Length,
                Information = (ulong)pointer,
            };
            return (int)Libc.Bpf(ObjectInformation, &attributes, sizeof(InformationAttributes));
        }
    }

    /// <summary>Attaches by a link. The target is a descriptor or an interface index, as the attach type wants.</summary>
    public static int CreateLink(int program, int target, BpfAttachType type, uint flags)
    {
        var attributes = new LinkAttributes
        {
            Program = (uint)program,
            InterfaceIndex = (uint)target,
            AttachType = (uint)type,
            Flags = flags,
        };
        return (int)Libc.Bpf(LinkCreate, &attributes, sizeof(LinkAttributes));
    }

    public static int UpdateLink(int link, int program, int oldProgram)
    {
        uint* attributes = stackalloc uint[4]
        {
            (uint)link,
            (uint)program,
            oldProgram < 0 ? 0 : ReplaceOldProgram,
            oldProgram < 0 ? 0 : (uint)oldProgram,
        };
        return (int)Libc.Bpf(LinkUpdate, attributes, 4 * sizeof(uint));
    }

    public static int DetachLink(int link)
    {
        uint attributes = (uint)link;
        return (int)Libc.Bpf(LinkDetach, &attributes, sizeof(uint));
    }

    /// <summary>Loads a program of a few raw instructions, to see whether the kernel takes it.</summary>
    public static int LoadProgram(BpfProgramType type, BpfAttachType attachType, ReadOnlySpan<ulong> instructions)
    {
        fixed (ulong* code = instructions)
        fixed (byte* license = "Dual BSD/GPL\0"u8)
        {
            var attributes = new LoadAttributes
            {
                Type = (uint)type,
                InstructionCount = (uint)instructions.Length,
                Instructions = (ulong)code,
                License = (ulong)license,
                ExpectedAttachType = (uint)attachType,
            };
            return (int)Libc.Bpf(ProgramLoad, &attributes, sizeof(LoadAttributes));
        }
    }

    /// <summary>Text in UTF-8 with a zero behind it.</summary>
    internal static byte[] Terminated(string text) => Encoding.UTF8.GetBytes(text + '\0');

    [StructLayout(LayoutKind.Sequential)]
    private struct PathAttributes
    {
        public ulong Path;
        public uint Descriptor;
        public uint Flags;
    }

    /// <summary>The beginning of the attributes of BPF_PROG_LOAD, as far as Linux 4.17 had them.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct LoadAttributes
    {
        public uint Type;
        public uint InstructionCount;
        public ulong Instructions;
        public ulong License;
        public uint LogLevel;
        public uint LogSize;
        public ulong Log;
        public uint KernelVersion;
        public uint Flags;
        public InterfaceName Name;
        public uint InterfaceIndex;
        public uint ExpectedAttachType;
    }
}
