// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Pronghorn.Lab;
using Pronghorn.Posix;
using Xunit;

namespace Pronghorn.Preload.Tests;

/// <summary>The preload library's C, compiled for every architecture that there is to be one for.</summary>
public sealed class AbiTests
{
    private static readonly string s_sources = Path.Combine(Tree.Root, "native", "preload");

    [Theory]
    [InlineData(HeaderCheck.X64)]
    [InlineData(HeaderCheck.Arm64)]
    public void Structures_ComparedWithTheirHeader_HaveTheSameSizesAndOffsets(string target)
    {
        Dictionary<string, long> stated = new()
        {
            ["PRONGHORN_ABI"] = Abi.Version,
            ["PRONGHORN_WAIT"] = SocketResult.Wait,
            ["PRONGHORN_KERNEL"] = SocketResult.Kernel,
            ["PRONGHORN_FALLBACK"] = SocketResult.Fallback,
            ["sizeof(struct pronghorn_kernel)"] = Unsafe.SizeOf<KernelTable>(),
            ["sizeof(struct pronghorn_start)"] = Unsafe.SizeOf<StartRequest>(),
            ["sizeof(struct pronghorn_round)"] = Unsafe.SizeOf<RoundResult>(),
            ["sizeof(struct pronghorn_core)"] = Unsafe.SizeOf<CoreTable>(),
            ["sizeof(struct iovec)"] = Unsafe.SizeOf<BufferVector>(),
        };
        Offset<StartRequest>("pronghorn_start", "internal_data", nameof(StartRequest.InternalData));
        Offset<StartRequest>("pronghorn_start", "is_peer", nameof(StartRequest.IsPeer));
        Offset<StartRequest>("pronghorn_start", "interface", nameof(StartRequest.Interface));
        Offset<StartRequest>("pronghorn_start", "counters", nameof(StartRequest.Counters));
        Offset<StartRequest>("pronghorn_start", "error_length", nameof(StartRequest.ErrorLength));
        Offset<StartRequest>("pronghorn_start", "wait_descriptors", nameof(StartRequest.WaitDescriptors));
        Offset<RoundResult>("pronghorn_round", "next_deadline", nameof(RoundResult.NextDeadline));
        Offset<RoundResult>("pronghorn_round", "events", nameof(RoundResult.Events));
        Offset<RoundResult>("pronghorn_round", "unsent", nameof(RoundResult.Unsent));
        const string Prologue = "#define _GNU_SOURCE\n#include <stddef.h>\n#include \"abi.h\"\n";

        Assert.Empty(HeaderCheck.Mismatches(target, Prologue, [s_sources], stated));

        void Offset<T>(string structure, string field, string name) =>
            stated[$"offsetof(struct {structure}, {field})"] = (long)Marshal.OffsetOf<T>(name);
    }

    [Theory]
    [InlineData(HeaderCheck.X64)]
    [InlineData(HeaderCheck.Arm64)]
    public void Sources_Compiled_AreWithoutWarning(string target)
    {
        string[] options =
        [
            $"--target={target}", "-isystem", $"/usr/{target}/include", "-std=gnu17", "-D_GNU_SOURCE", "-D_LARGEFILE64_SOURCE",
            "-U_FORTIFY_SOURCE", "-fPIC", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-fsyntax-only",
        ];
        string[] sources = Directory.GetFiles(s_sources, "*.c");
        Assert.NotEmpty(sources);

        LabOutput output = LabCommand.TryRun("clang", [.. options, .. sources.Order()]);

        Assert.True(output.ExitCode == 0, output.Error);
    }
}
