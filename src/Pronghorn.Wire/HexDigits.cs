// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Wire;

/// <summary>Hexadecimal digits for the text forms of addresses.</summary>
internal static class HexDigits
{
    /// <summary>The digits in order of value, lower case.</summary>
    public const string Lower = "0123456789abcdef";

    /// <summary>The value of a digit that is known to be one.</summary>
    public static int ValueOf(char digit) => digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;
}
