// SPDX-License-Identifier: Apache-2.0
using System.Runtime.InteropServices;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Bpf;

/// <content>Maps beyond single elements.</content>
internal static unsafe partial class BpfSyscall
{
    public const int LookupBatch = 24;
    public const int UpdateBatch = 26;
    public const int DeleteBatch = 27;

    private const int MapCreate = 0;
    private const int MapNextKey = 4;

    public static int CreateMap(
        BpfMapType type, uint keySize, uint valueSize, uint maximumEntries, uint flags, int innerMap, InterfaceName name)
    {
        var attributes = new CreateAttributes
        {
            Type = (uint)type,
            KeySize = keySize,
            ValueSize = valueSize,
            MaximumEntries = maximumEntries,
            Flags = flags,
            InnerMap = innerMap < 0 ? 0 : (uint)innerMap,
            Name = name,
        };
        return (int)Libc.Bpf(MapCreate, &attributes, sizeof(CreateAttributes));
    }

    public static int UpdateElement(int map, void* key, void* value, ulong flags)
    {
        var attributes = new ElementAttributes { Map = (uint)map, Key = (ulong)key, Value = (ulong)value, Flags = flags };
        return (int)Libc.Bpf(MapUpdate, &attributes, sizeof(ElementAttributes));
    }

    /// <summary>The key behind a key; the first for null.</summary>
    public static int NextKey(int map, void* key, void* next)
    {
        var attributes = new ElementAttributes { Map = (uint)map, Key = (ulong)key, Value = (ulong)next };
        return (int)Libc.Bpf(MapNextKey, &attributes, sizeof(ElementAttributes));
    }

    /// <summary>One of the batch commands. The kernel leaves in <c>Count</c> how many elements it did.</summary>
    public static int Batch(int command, ref BatchAttributes attributes)
    {
        fixed (BatchAttributes* pointer = &attributes)
        {
            return (int)Libc.Bpf(command, pointer, sizeof(BatchAttributes));
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct BatchAttributes
    {
        public ulong From;
        public ulong To;
        public ulong Keys;
        public ulong Values;
        public uint Count;
        public uint Map;
        public ulong ElementFlags;
        public ulong Flags;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct CreateAttributes
    {
        public uint Type;
        public uint KeySize;
        public uint ValueSize;
        public uint MaximumEntries;
        public uint Flags;
        public uint InnerMap;
        public uint NumaNode;
        public InterfaceName Name;
    }
}
