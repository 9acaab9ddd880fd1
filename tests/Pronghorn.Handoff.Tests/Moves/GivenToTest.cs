// SPDX-License-Identifier: Apache-2.0
using System;
using Pronghorn.Handoff.Moves;

namespace Pronghorn.Handoff.Tests.Moves;

/// <summary>A connection that a test is given.</summary>
internal sealed class GivenToTest(Action<bool> released) : IGivenConnection
{
    public void Release(bool isLive) => released(isLive);
}
