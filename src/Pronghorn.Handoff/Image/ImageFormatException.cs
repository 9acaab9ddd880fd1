// SPDX-License-Identifier: Apache-2.0
using System;

namespace Pronghorn.Handoff.Image;

/// <summary>Bytes that claim to be an image are not one; the message says which part is wrong.</summary>
public sealed class ImageFormatException : FormatException
{
    /// <summary>Makes one without a message.</summary>
    public ImageFormatException()
    {
    }

    /// <summary>Makes one.</summary>
    public ImageFormatException(string message)
        : base(message)
    {
    }

    /// <summary>Makes one with its cause.</summary>
    public ImageFormatException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
