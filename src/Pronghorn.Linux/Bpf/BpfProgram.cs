// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Bpf;

/// <summary>What BPF_PROG_TEST_RUN is given.</summary>
public readonly ref struct BpfTestRun
{
    /// <summary>A packet, from the Ethernet header on.</summary>
    public ReadOnlySpan<byte> Packet { get; init; }

    /// <summary>Where the packet goes as the program left it; may be empty.</summary>
    public Span<byte> PacketOut { get; init; }

    /// <summary>struct xdp_md or struct __sk_buff; may be empty. Of xdp_md, data_end is the packet's length.</summary>
    public ReadOnlySpan<byte> Context { get; init; }

    /// <summary>Where the context goes afterwards; may be empty.</summary>
    public Span<byte> ContextOut { get; init; }

    /// <summary>How often the program is run; 0 is once.</summary>
    public int Repeat { get; init; }

    /// <summary>
    /// Frames a batch for live frames (BPF_F_TEST_XDP_LIVE_FRAMES, Linux 5.18): the verdict of an XDP program is carried out, with real
    /// packets; 1 to 256. 0: the verdict is only reported.
    /// </summary>
    public int LiveBatch { get; init; }
}

/// <summary>What BPF_PROG_TEST_RUN said.</summary>
/// <param name="Verdict">What the program returned the last time.</param>
/// <param name="PacketLength">Bytes of the packet as the program left it.</param>
/// <param name="ContextLength">Bytes of the context afterwards.</param>
/// <param name="Nanoseconds">Mean time of one run.</param>
public readonly record struct BpfTestResult(uint Verdict, int PacketLength, int ContextLength, uint Nanoseconds);

/// <summary>A loaded BPF program.</summary>
public sealed unsafe class BpfProgram : BpfHandle
{
    private const uint LiveFrames = 1u << 1;

    private BpfProgram(int descriptor, string? name)
        : base(descriptor)
    {
        Span<byte> information = stackalloc byte[256];
        int result = BpfSyscall.GetInformation(descriptor, information);
        if (result < 0)
        {
            Dispose();
            throw new BpfException(BpfStep.Open, name ?? "a BPF program", -result);
        }

        // struct bpf_prog_info: type, id, tag of 8 bytes, ...; the name lies at offset 64.
        Type = (BpfProgramType)MemoryMarshal.Read<uint>(information);
        Id = MemoryMarshal.Read<uint>(information[4..]);
        Tag = Convert.ToHexStringLower(information[8..16]);
        Name = name ?? InterfaceName.FromBytes(information[64..80]).ToString();
    }

    /// <summary>What kind of program it is.</summary>
    public BpfProgramType Type { get; }

    /// <summary>The kernel's number for it.</summary>
    public uint Id { get; }

    /// <summary>Hash of its instructions, 16 hexadecimal digits: the same code has the same.</summary>
    public string Tag { get; }

    /// <summary>Its name in its object; of one that was opened otherwise, the first 15 bytes of it.</summary>
    public string Name { get; }

    /// <summary>Opens a program by the kernel's number.</summary>
    /// <exception cref="BpfException">ENOENT when there is none.</exception>
    public static BpfProgram OpenById(uint id) =>
        new(BpfException.Check(BpfSyscall.OpenProgramById(id), BpfStep.Open, $"BPF program {id}"), null);

    /// <summary>Opens a pinned program.</summary>
    /// <exception cref="BpfException">ENOENT when there is no such file.</exception>
    public static BpfProgram OpenPinned(string path) =>
        new(BpfException.Check(OpenPinnedDescriptor(path), BpfStep.Open, path), null);

    /// <summary>Takes a copy of a descriptor.</summary>
    /// <param name="descriptor">The descriptor.</param>
    /// <param name="name">Its name; null to ask the kernel.</param>
    public static BpfProgram FromDescriptor(int descriptor, string? name = null)
    {
        int copy = descriptor < 0 ? descriptor : Libc.Duplicate(descriptor);
        return new BpfProgram(BpfException.Check(copy, BpfStep.Open, name ?? $"descriptor {descriptor}"), name);
    }

    /// <summary>Runs the program over a packet (XDP and traffic control; others have no such run).</summary>
    /// <param name="run">What to run it on.</param>
    /// <param name="result">What came of it.</param>
    /// <returns>
    /// 0 or the negative error number: -ENOSPC when the packet is longer than the room for it, -ENOTSUPP (-524) when there is no test run
    /// for programs of this kind.
    /// </returns>
    public int TestRun(in BpfTestRun run, out BpfTestResult result)
    {
        fixed (byte* packet = run.Packet, packetOut = run.PacketOut, context = run.Context, contextOut = run.ContextOut)
        {
            var attributes = new BpfSyscall.TestRunAttributes
            {
                Program = (uint)Descriptor,
                DataLength = (uint)run.Packet.Length,
                Data = (ulong)packet,
                OutputLength = (uint)run.PacketOut.Length,
                Output = (ulong)packetOut,
                ContextLength = (uint)run.Context.Length,
                Context = (ulong)context,
                ContextOutputLength = (uint)run.ContextOut.Length,
                ContextOutput = (ulong)contextOut,
                Repeat = (uint)run.Repeat,
                Flags = run.LiveBatch > 0 ? LiveFrames : 0,
                BatchSize = (uint)run.LiveBatch,
            };
            int error = BpfSyscall.RunTest(ref attributes);
            result = new BpfTestResult(
                attributes.Verdict, (int)attributes.OutputLength, (int)attributes.ContextOutputLength, attributes.Duration);
            return error;
        }
    }
}
