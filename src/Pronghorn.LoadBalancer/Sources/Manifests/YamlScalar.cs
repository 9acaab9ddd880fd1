// SPDX-License-Identifier: Apache-2.0
using System;
using System.Globalization;
using System.Text.Json;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Pronghorn.LoadBalancer.Sources.Manifests;

/// <summary>Which JSON value a YAML scalar is: the core schema (YAML 1.2.2, 10.3.2), which is what Kubernetes manifests use.</summary>
internal static class YamlScalar
{
    /// <summary>Writes the scalar as the JSON value that it means.</summary>
    public static void Write(YamlScalarNode node, Utf8JsonWriter writer)
    {
        string text = node.Value ?? "";
        bool isPlain = node.Style is ScalarStyle.Plain or ScalarStyle.Any;
        bool isTaggedString = !node.Tag.IsEmpty && !node.Tag.IsNonSpecific && node.Tag.Value.EndsWith(":str", StringComparison.Ordinal);
        if (!isPlain || isTaggedString)
        {
            writer.WriteStringValue(text);
        }
        else if (text is "" or "~" or "null" or "Null" or "NULL")
        {
            writer.WriteNullValue();
        }
        else if (text is "true" or "True" or "TRUE")
        {
            writer.WriteBooleanValue(true);
        }
        else if (text is "false" or "False" or "FALSE")
        {
            writer.WriteBooleanValue(false);
        }
        else if (TryInteger(text, out long integer))
        {
            writer.WriteNumberValue(integer);
        }
        else if (IsFraction(text) && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
            && double.IsFinite(number))
        {
            writer.WriteNumberValue(number);
        }
        else
        {
            writer.WriteStringValue(text);
        }
    }

    private static bool TryInteger(string text, out long value)
    {
        if (text.StartsWith("0x", StringComparison.Ordinal))
        {
            return long.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
        }

        if (text.StartsWith("0o", StringComparison.Ordinal))
        {
            return TryOctal(text.AsSpan(2), out value);
        }

        return long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value);
    }

    private static bool TryOctal(ReadOnlySpan<char> digits, out long value)
    {
        value = 0;
        foreach (char digit in digits)
        {
            if (digit is < '0' or > '7' || value > long.MaxValue >> 3)
            {
                return false;
            }

            value = (value << 3) | (uint)(digit - '0');
        }

        return digits.Length > 0;
    }

    /// <summary>[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?: an address such as 10.0.0.1 is none.</summary>
    private static bool IsFraction(string text)
    {
        int dots = 0;
        for (int at = 0; at < text.Length; at++)
        {
            char character = text[at];
            bool isSign = character is '-' or '+' && (at == 0 || text[at - 1] is 'e' or 'E');
            bool isExponent = character is 'e' or 'E' && at > 0 && at < text.Length - 1;
            dots += character == '.' ? 1 : 0;
            if (!(char.IsAsciiDigit(character) || character == '.' || isSign || isExponent))
            {
                return false;
            }
        }

        return dots <= 1;
    }
}
