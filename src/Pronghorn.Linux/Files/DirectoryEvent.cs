// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Linux.Files;

/// <summary>What happened in a watched directory.</summary>
public enum DirectoryEventKind
{
    /// <summary>A file was written and closed, or was moved in: it is whole.</summary>
    Written,

    /// <summary>A file was removed or moved out.</summary>
    Removed,

    /// <summary>
    /// A file was made. Its writer may not be done, and <see cref="Written"/> follows when it is; but a symbolic link is never
    /// written and has only this.
    /// </summary>
    Created,

    /// <summary>A directory came or went, or events were lost: look at everything again.</summary>
    Unclear,

    /// <summary>The directory itself is gone; the watch has ended.</summary>
    DirectoryGone,
}

/// <summary>One event of a <see cref="DirectoryWatch"/>.</summary>
/// <param name="Kind">What happened.</param>
/// <param name="Name">To which entry of the directory; empty for those without one.</param>
public readonly record struct DirectoryEvent(DirectoryEventKind Kind, string Name);
