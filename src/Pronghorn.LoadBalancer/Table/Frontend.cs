// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Wire;

namespace Pronghorn.LoadBalancer.Table;

/// <summary>Who asks: enum client_class of bpf/common/service_maps.h.</summary>
public enum ClientClass
{
    /// <summary>A pod of the cluster.</summary>
    Pod,

    /// <summary>This node itself.</summary>
    Node,

    /// <summary>Anybody else.</summary>
    External,
}

/// <summary>What a frontend is: enum frontend_kind of bpf/common/service_maps.h.</summary>
public enum FrontendKind
{
    /// <summary>A cluster address.</summary>
    ClusterIp = 1,

    /// <summary>A port of every node address.</summary>
    NodePort,

    /// <summary>An address that a cloud provider routes here.</summary>
    LoadBalancer,

    /// <summary>An address that the administrator routes here.</summary>
    ExternalIp,
}

/// <summary>What happens to a client: enum service_action of bpf/common/service_maps.h.</summary>
public enum FrontendAction
{
    /// <summary>Goes to a backend of the view's set.</summary>
    Forward = 1,

    /// <summary>Is refused: no endpoint is usable anywhere.</summary>
    Reject,

    /// <summary>Is dropped: a Local policy, and usable endpoints are on other nodes only.</summary>
    Drop,
}

/// <summary>Which endpoints of a service port a view uses; see <see cref="ServicePortState.BackendsOf"/>.</summary>
public enum EndpointScope
{
    /// <summary>All usable ones, narrowed by topology.</summary>
    Cluster,

    /// <summary>Those of this node.</summary>
    Local,
}

/// <summary>What clients address. A node port has the unspecified address of its family.</summary>
/// <param name="Address">Address, or 0.0.0.0 or :: for a node port.</param>
/// <param name="Port">1..65535.</param>
/// <param name="Protocol">TCP, UDP or SCTP.</param>
public readonly record struct FrontendKey(IpAddress Address, ushort Port, IpProtocol Protocol);

/// <summary>What one class of clients gets: struct service_view of bpf/common/service_maps.h.</summary>
/// <param name="Action">What happens.</param>
/// <param name="Scope">Which set; only of <see cref="FrontendAction.Forward"/>.</param>
/// <param name="Masquerade">Whether the source becomes the node's (packet path only).</param>
/// <param name="ChecksSource">Whether the source must be in the service port's ranges (dropped otherwise).</param>
/// <param name="NodeAllowed">Whether the node's own sockets pass that check.</param>
public readonly record struct FrontendView(
    FrontendAction Action, EndpointScope Scope, bool Masquerade = false, bool ChecksSource = false, bool NodeAllowed = false);

/// <summary>One entry of the data plane's table of services.</summary>
/// <param name="Key">What clients address.</param>
/// <param name="Kind">What it is.</param>
/// <param name="Pod">For pods.</param>
/// <param name="Node">For the node itself.</param>
/// <param name="External">For everybody else.</param>
public sealed record Frontend(FrontendKey Key, FrontendKind Kind, FrontendView Pod, FrontendView Node, FrontendView External)
{
    /// <summary>The view of a class.</summary>
    public FrontendView this[ClientClass client] => client switch
    {
        ClientClass.Pod => Pod,
        ClientClass.Node => Node,
        _ => External,
    };
}
