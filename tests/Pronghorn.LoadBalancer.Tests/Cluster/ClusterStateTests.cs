// SPDX-License-Identifier: Apache-2.0
using System.Collections.Generic;
using System.Linq;
using Pronghorn.LoadBalancer.Cluster;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Cluster;

public sealed class ClusterStateTests
{
    private readonly ClusterState _state = new();

    [Fact]
    public void Service_AppliedAndRemoved_TouchesItself()
    {
        Assert.Equal("shop/cart", Apply(new ServiceApplied(Service("cart"))));
        Assert.NotNull(_state.FindService(new ObjectName("shop", "cart")));
        Assert.Equal("shop/cart", Apply(new ServiceRemoved(new ObjectName("shop", "cart"))));
        Assert.Null(_state.FindService(new ObjectName("shop", "cart")));
        Assert.Equal("", Apply(new ServiceRemoved(new ObjectName("shop", "cart"))));
    }

    [Fact]
    public void SameVersionOfTheSameObject_TouchesNothing()
    {
        Apply(new ServiceApplied(Service("cart", "7")));

        Assert.Equal("", Apply(new ServiceApplied(Service("cart", "7"))));
        Assert.Equal("shop/cart", Apply(new ServiceApplied(Service("cart", "8"))));
    }

    [Fact]
    public void ObjectsWithoutVersion_AlwaysTouch()
    {
        Apply(new ServiceApplied(Service("cart")));

        Assert.Equal("shop/cart", Apply(new ServiceApplied(Service("cart"))));
    }

    [Fact]
    public void Slice_BeforeItsService_IsKeptForIt()
    {
        Assert.Equal("shop/cart", Apply(new EndpointSliceApplied(Slice("cart-1", "cart"))));

        Assert.Equal("cart-1", Slices("cart"));
    }

    [Fact]
    public void SliceThatMovesToAnotherService_TouchesBoth()
    {
        Apply(new EndpointSliceApplied(Slice("s", "cart")));

        Assert.Equal("shop/cart shop/pay", Apply(new EndpointSliceApplied(Slice("s", "pay"))));
        Assert.Equal("", Slices("cart"));
        Assert.Equal("s", Slices("pay"));
    }

    [Fact]
    public void SliceThatLosesItsLabel_TouchesTheServiceThatItHad()
    {
        Apply(new EndpointSliceApplied(Slice("s", "cart")));

        Assert.Equal("shop/cart", Apply(new EndpointSliceApplied(Slice("s", null))));
        Assert.Equal("", Slices("cart"));
        Assert.Equal(1, _state.SliceCount);
    }

    [Fact]
    public void SliceWithoutService_TouchesNothing() => Assert.Equal("", Apply(new EndpointSliceApplied(Slice("s", null))));

    [Fact]
    public void SlicesOfAService_ComeInTheOrderOfTheirNames()
    {
        Apply(new EndpointSliceApplied(Slice("b", "cart")));
        Apply(new EndpointSliceApplied(Slice("a", "cart")));
        Apply(new EndpointSliceApplied(Slice("c", "pay")));

        Assert.Equal("a b", Slices("cart"));
        Assert.Equal("shop/cart", Apply(new EndpointSliceRemoved(new ObjectName("shop", "b"))));
        Assert.Equal("a", Slices("cart"));
    }

    [Fact]
    public void List_TouchesWhatCameWentOrChanged()
    {
        Apply(new ServicesListed([Service("same", "1"), Service("changed", "2"), Service("gone", "3")]));

        string touched = Apply(new ServicesListed([Service("same", "1"), Service("changed", "9"), Service("new", "4")]));

        Assert.Equal("shop/changed shop/gone shop/new", touched);
        Assert.Equal(["changed", "new", "same"], _state.Services.Select(one => one.Metadata.Name).Order());
    }

    [Fact]
    public void ListOfSlices_TouchesTheServicesOfWhatCameWentOrChanged()
    {
        Apply(new EndpointSlicesListed([Slice("same", "a", "1"), Slice("changed", "b", "2"), Slice("gone", "c", "3")]));

        string touched = Apply(new EndpointSlicesListed([Slice("same", "a", "1"), Slice("changed", "b", "9"), Slice("new", "d", "4")]));

        Assert.Equal("shop/b shop/c shop/d", touched);
        Assert.Equal(3, _state.SliceCount);
    }

    [Fact]
    public void State_IsCompleteOnceBothListsHaveCome()
    {
        Apply(new ServiceApplied(Service("cart")));
        Assert.False(_state.IsComplete);
        Apply(new EndpointSlicesListed([]));
        Assert.False(_state.IsComplete);
        Apply(new ServicesListed([]));
        Assert.True(_state.IsComplete);
    }

    [Fact]
    public void Node_TouchesEveryService()
    {
        Apply(new ServicesListed([Service("a"), Service("b")]));

        Assert.Equal("shop/a shop/b", Apply(new NodeApplied(new Node { Metadata = new Metadata { Name = "here" } })));
        Assert.Equal("here", _state.Node?.Metadata.Name);
    }

    private static Service Service(string name, string version = "") => new()
    {
        Metadata = new Metadata { Namespace = "shop", Name = name, ResourceVersion = version },
    };

    private static EndpointSlice Slice(string name, string? service, string version = "") => new()
    {
        Metadata = new Metadata
        {
            Namespace = "shop",
            Name = name,
            ResourceVersion = version,
            Labels = service is null ? null : new Dictionary<string, string> { [EndpointSlice.ServiceNameLabel] = service },
        },
    };

    private string Apply(ClusterChange change) =>
        string.Join(' ', _state.Apply(change).Select(name => name.ToString()).Order(System.StringComparer.Ordinal));

    private string Slices(string service) =>
        string.Join(' ', _state.SlicesOf(new ObjectName("shop", service)).Select(slice => slice.Metadata.Name));
}
