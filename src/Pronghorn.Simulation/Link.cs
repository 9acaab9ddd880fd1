// SPDX-License-Identifier: Apache-2.0
namespace Pronghorn.Simulation;

/// <summary>A cable between two hosts.</summary>
public sealed class Link
{
    internal Link(LinkDirection forward, LinkDirection backward)
    {
        Forward = forward;
        Backward = backward;
    }

    /// <summary>From the first host to the second.</summary>
    public LinkDirection Forward { get; }

    /// <summary>From the second host to the first.</summary>
    public LinkDirection Backward { get; }

    /// <summary>Cuts or mends both directions.</summary>
    public bool Partitioned
    {
        get => Forward.Partitioned && Backward.Partitioned;
        set
        {
            Forward.Partitioned = value;
            Backward.Partitioned = value;
        }
    }
}
