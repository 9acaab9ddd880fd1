// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Stack;

/// <summary>Counts changes of interfaces, routes and neighbours: a path found in another epoch must be looked up again.</summary>
internal sealed class PathEpoch
{
    public int Value;
}
