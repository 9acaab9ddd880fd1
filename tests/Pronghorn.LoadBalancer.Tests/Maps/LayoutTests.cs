// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Pronghorn.LoadBalancer.Maps;
using Pronghorn.LoadBalancer.Table;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.Maps;

/// <summary>Holds the mirrors against what the C compiler makes of bpf/common/service_maps.h.</summary>
public sealed class LayoutTests
{
    private static readonly (Type Mirror, string Structure)[] s_structures =
    [
        (typeof(ServiceView), "service_view"),
        (typeof(ServiceKey), "service_key"),
        (typeof(ServiceValue), "service_value"),
        (typeof(SlotKey), "slot_key"),
        (typeof(BackendValue), "backend_value"),
        (typeof(MemberKey), "member_key"),
        (typeof(SourceRangeKey), "source_range_key"),
        (typeof(AddressRangeKey), "address_range_key"),
        (typeof(SettingsValue), "service_settings"),
        (typeof(ServiceCount), "service_count"),
    ];

    private static readonly (string Constant, long Value)[] s_constants =
    [
        ("CLIENT_POD", (long)ClientClass.Pod),
        ("CLIENT_NODE", (long)ClientClass.Node),
        ("CLIENT_EXTERNAL", (long)ClientClass.External),
        ("SERVICE_FORWARD", (long)ServiceViewAction.Forward),
        ("SERVICE_REJECT", (long)ServiceViewAction.Reject),
        ("SERVICE_DROP", (long)ServiceViewAction.Drop),
        ("VIEW_MASQUERADE", (long)ViewFlags.Masquerade),
        ("VIEW_CHECK_SOURCE", (long)ViewFlags.CheckSource),
        ("VIEW_NODE_ALLOWED", (long)ViewFlags.NodeAllowed),
        ("FRONTEND_CLUSTER_IP", (long)FrontendKind.ClusterIp),
        ("FRONTEND_NODE_PORT", (long)FrontendKind.NodePort),
        ("FRONTEND_LOAD_BALANCER", (long)FrontendKind.LoadBalancer),
        ("FRONTEND_EXTERNAL_IP", (long)FrontendKind.ExternalIp),
        ("SERVICE_MAGLEV", (long)ServiceFlags.Maglev),
        ("SERVICE_DIRECT_RETURN", (long)ServiceFlags.DirectReturn),
        ("BACKEND_LOCAL", (long)BackendFlags.Local),
        ("NODE_ADDRESS_SOURCE", (long)NodeAddressFlags.Source),
        ("NODE_ADDRESS_PORTS", (long)NodeAddressFlags.Ports),
        ("SETTING_IPV4", (long)SettingFlags.Ipv4),
        ("SETTING_IPV6", (long)SettingFlags.Ipv6),
    ];

    [Fact]
    public void Mirrors_AgainstTheHeader_SameSizesOffsetsAndConstants()
    {
        string[] compiled = RunProbe();

        Assert.Equal(Mirrored().Order(StringComparer.Ordinal), compiled.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void MapSizes_AgainstTheMirrors_Same()
    {
        Assert.Equal(Unsafe.SizeOf<ServiceKey>(), ServiceMaps.KeySizeOf(ServiceMap.Services));
        Assert.Equal(Unsafe.SizeOf<SlotKey>(), ServiceMaps.KeySizeOf(ServiceMap.Slots));
        Assert.Equal(Unsafe.SizeOf<MemberKey>(), ServiceMaps.KeySizeOf(ServiceMap.Members));
        Assert.Equal(Unsafe.SizeOf<SourceRangeKey>(), ServiceMaps.KeySizeOf(ServiceMap.SourceRanges));
        Assert.Equal(Unsafe.SizeOf<AddressRangeKey>(), ServiceMaps.KeySizeOf(ServiceMap.PodRanges));
        Assert.Equal(Unsafe.SizeOf<NetworkAddress>(), ServiceMaps.KeySizeOf(ServiceMap.NodeAddresses));
        Assert.Equal(Unsafe.SizeOf<ServiceValue>(), ServiceMaps.ValueSizeOf(ServiceMap.Services));
        Assert.Equal(Unsafe.SizeOf<BackendValue>(), ServiceMaps.ValueSizeOf(ServiceMap.Backends));
        Assert.Equal(Unsafe.SizeOf<SettingsValue>(), ServiceMaps.ValueSizeOf(ServiceMap.Settings));
        Assert.Equal(Unsafe.SizeOf<ServiceCount>(), ServiceMaps.ValueSizeOf(ServiceMap.ServiceCounts));
    }

    private static IEnumerable<string> Mirrored()
    {
        foreach ((Type mirror, string structure) in s_structures)
        {
            yield return $"{structure} {Marshal.SizeOf(mirror)}";
            foreach ((FieldInfo field, string member) in FieldsOf(mirror))
            {
                yield return $"{structure}.{member} {Marshal.OffsetOf(mirror, field.Name)}";
            }
        }

        foreach ((string constant, long value) in s_constants)
        {
            yield return $"{constant} {value}";
        }
    }

    /// <summary>A field and its name in C: NodeIpv4 is node_ipv4; the three views are an array there.</summary>
    private static IEnumerable<(FieldInfo Field, string Member)> FieldsOf(Type mirror) =>
        from field in mirror.GetFields(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance)
        let member = field.FieldType == typeof(ServiceView) ? $"view[CLIENT_{field.Name.ToUpperInvariant()}]" : SnakeCase(field.Name)
        select (field, member);

    private static string SnakeCase(string name)
    {
        var text = new StringBuilder();
        foreach (char character in name.TrimStart('_'))
        {
            text.Append(char.IsUpper(character) && text.Length > 0 ? "_" : "").Append(char.ToLowerInvariant(character));
        }

        return text.ToString();
    }

    private static string[] RunProbe()
    {
        string folder = Directory.CreateTempSubdirectory("pronghorn-layout-").FullName;
        try
        {
            var source = new StringBuilder("#include <stddef.h>\n#include <stdio.h>\n#include \"service_maps.h\"\nint main(void) {\n");
            foreach ((Type mirror, string structure) in s_structures)
            {
                source.Append($"printf(\"{structure} %zu\\n\", sizeof(struct {structure}));\n");
                foreach ((_, string member) in FieldsOf(mirror))
                {
                    source.Append($"printf(\"{structure}.{member} %zu\\n\", offsetof(struct {structure}, {member}));\n");
                }
            }

            foreach ((string constant, _) in s_constants)
            {
                source.Append($"printf(\"{constant} %lld\\n\", (long long){constant});\n");
            }

            string file = Path.Combine(folder, "probe.c");
            File.WriteAllText(file, source.Append("}\n").ToString());
            string program = Path.Combine(folder, "probe");
            Run("cc", "-I", Path.Combine(SourceTree.Root, "bpf", "common"), "-o", program, file);
            return Run(program).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static string Run(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, errors);
        return output;
    }
}
