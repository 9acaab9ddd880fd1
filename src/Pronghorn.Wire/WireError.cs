// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Wire;

/// <summary>Why octets could not be read as a packet.</summary>
public enum WireError : byte
{
    /// <summary>Nothing is wrong.</summary>
    None,

    /// <summary>Fewer octets than the header needs.</summary>
    TooShort,

    /// <summary>The version field is not the expected one.</summary>
    BadVersion,

    /// <summary>The header length field is below the minimum or beyond the packet.</summary>
    BadHeaderLength,

    /// <summary>The total length field is below the header's or beyond the octets received.</summary>
    BadTotalLength,

    /// <summary>The checksum does not match.</summary>
    BadChecksum,

    /// <summary>An option's length is impossible.</summary>
    BadOptions,

    /// <summary>A hardware or protocol type, or one of their lengths, is not the one that is handled.</summary>
    UnsupportedType,

    /// <summary>A field holds a value that no sender may put there.</summary>
    BadField,
}
