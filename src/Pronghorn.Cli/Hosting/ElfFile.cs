// SPDX-License-Identifier: Apache-2.0
using System;
using System.Buffers.Binary;
using System.IO;

namespace Pronghorn.Cli.Hosting;

/// <summary>What kind of file a program is, as far as preloading is concerned.</summary>
internal enum ProgramKind
{
    /// <summary>An ELF program that the dynamic loader starts: a library can be preloaded.</summary>
    Dynamic,

    /// <summary>An ELF program without a loader: nothing can be preloaded.</summary>
    Static,

    /// <summary>A script: its interpreter counts.</summary>
    Script,

    /// <summary>Something that is neither.</summary>
    Unknown,
}

/// <summary>Looks into program files (elf(5)).</summary>
internal static class ElfFile
{
    private const int HeaderLength = 64;
    private const int ProgramHeaderInterpreter = 3; // PT_INTERP
    private const int MaximumProgramHeaders = 256;

    /// <summary>The kind of a file; for a script also the interpreter that its first line names.</summary>
    internal static ProgramKind Inspect(Stream file, out string? interpreter)
    {
        interpreter = null;
        Span<byte> header = stackalloc byte[HeaderLength];
        int length = file.ReadAtLeast(header, HeaderLength, throwOnEndOfStream: false);
        header = header[..length];
        if (header.StartsWith("#!"u8))
        {
            interpreter = ReadInterpreter(file);
            return ProgramKind.Script;
        }

        // 64-bit little-endian only: no other kind of library is built.
        if (length < HeaderLength || !header.StartsWith("\u007fELF"u8) || header[4] != 2 || header[5] != 1)
        {
            return ProgramKind.Unknown;
        }

        return HasInterpreter(file, header) ? ProgramKind.Dynamic : ProgramKind.Static;
    }

    private static bool HasInterpreter(Stream file, ReadOnlySpan<byte> header)
    {
        long offset = BinaryPrimitives.ReadInt64LittleEndian(header[32..]);
        int entrySize = BinaryPrimitives.ReadUInt16LittleEndian(header[54..]);
        int count = Math.Min((int)BinaryPrimitives.ReadUInt16LittleEndian(header[56..]), MaximumProgramHeaders);
        Span<byte> type = stackalloc byte[4];
        for (int i = 0; i < count; i++)
        {
            long position = offset + ((long)i * entrySize);
            if (position < 0 || position + Math.Max(entrySize, 4) > file.Length)
            {
                return false;
            }

            file.Position = position;
            file.ReadExactly(type);
            if (BinaryPrimitives.ReadInt32LittleEndian(type) == ProgramHeaderInterpreter)
            {
                return true;
            }
        }

        return false;
    }

    private static string? ReadInterpreter(Stream file)
    {
        file.Position = 2;
        using StreamReader reader = new(file, leaveOpen: true);
        string? line = reader.ReadLine()?.Trim();
        return string.IsNullOrEmpty(line) ? null : line.Split(' ', 2)[0];
    }
}
