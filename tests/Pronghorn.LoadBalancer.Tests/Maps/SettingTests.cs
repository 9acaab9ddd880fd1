// SPDX-License-Identifier: Apache-2.0
using System;
using System.Linq;
using Pronghorn.LoadBalancer.DataPlane;
using Pronghorn.LoadBalancer.Maps;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Maps;

public sealed class SettingTests
{
    [Fact]
    public void EveryMapWithASize_SettingNamedInErrors_IsTheOneThatSizesIt()
    {
        foreach (ServiceMap map in Enum.GetValues<ServiceMap>().Where(map => map != ServiceMap.Settings))
        {
            Assert.Equal("maps." + new MapSizes().ByMap[ServiceMaps.NameOf(map)].Setting, ServiceMaps.SettingOf(map));
        }
    }
}
