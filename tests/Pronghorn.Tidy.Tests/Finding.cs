// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Tidy.Tests;

/// <summary>A place in the tree that breaks a rule.</summary>
/// <param name="Path">The file, relative to the root.</param>
/// <param name="Line">The line, from 1; 0 for the file as a whole.</param>
/// <param name="Problem">What is wrong and what to do.</param>
public sealed record Finding(string Path, int Line, string Problem)
{
    public override string ToString() => Line > 0 ? $"{Path}:{Line}: {Problem}" : $"{Path}: {Problem}";
}
