// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Pronghorn.Lab;
using Pronghorn.LoadBalancer.DataPlane;
using Xunit;

namespace Pronghorn.LoadBalancer.Tests.DataPlane;

/// <summary>Holds the mirrors of the socket layer's maps to the headers in bpf/common.</summary>
public sealed class SocketLayoutTests
{
    [Theory]
    [InlineData(HeaderCheck.X64)]
    [InlineData(HeaderCheck.Arm64)]
    public void EntriesAndCounters_ComparedWithTheHeaders_AreTheSame(string target)
    {
        var stated = new Dictionary<string, long>();
        Structure<SocketKey>(
            stated,
            "socket_key",
            (nameof(SocketKey.Cookie), "cookie"),
            (nameof(SocketKey.AddressHigh), "address"),
            (nameof(SocketKey.Port), "port"));
        Structure<SocketValue>(
            stated,
            "socket_value",
            (nameof(SocketValue.NamespaceCookie), "namespace_cookie"),
            (nameof(SocketValue.AddressHigh), "address"),
            (nameof(SocketValue.Port), "port"),
            (nameof(SocketValue.Protocol), "protocol"),
            (nameof(SocketValue.Service), "service"));
        Counters<SocketCounter>(stated, "SOCKET_");
        Counters<LookupCounter>(stated, "LOOKUP_");
        stated["SOCKET_COUNTERS"] = Enum.GetValues<SocketCounter>().Length;
        stated["LOOKUP_COUNTERS"] = Enum.GetValues<LookupCounter>().Length;
        const string Prologue =
            """
            #include <stddef.h>
            #include "service_lookup.h"
            #include "service_socket_maps.h"

            """;
        Assert.Empty(HeaderCheck.Mismatches(target, Prologue, [Path.Combine(RepositoryRoot(), "bpf", "common")], stated));
    }

    private static void Structure<T>(Dictionary<string, long> stated, string structure, params (string Property, string Member)[] members)
        where T : unmanaged
    {
        stated[$"sizeof(struct {structure})"] = Unsafe.SizeOf<T>();
        foreach ((string property, string member) in members)
        {
            stated[$"offsetof(struct {structure}, {member})"] = (long)Marshal.OffsetOf<T>($"<{property}>k__BackingField");
        }
    }

    /// <summary>BindRefused is SOCKET_BIND_REFUSED.</summary>
    private static void Counters<T>(Dictionary<string, long> stated, string prefix)
        where T : struct, Enum
    {
        foreach (T counter in Enum.GetValues<T>())
        {
            var name = new StringBuilder();
            foreach (char character in counter.ToString())
            {
                name.Append(char.IsUpper(character) && name.Length > 0 ? "_" : "").Append(char.ToUpperInvariant(character));
            }

            stated[prefix + name] = Convert.ToInt64(counter, System.Globalization.CultureInfo.InvariantCulture);
        }
    }

    private static string RepositoryRoot()
    {
        string? directory = AppContext.BaseDirectory;
        while (directory is not null && !File.Exists(Path.Combine(directory, "Pronghorn.slnx")))
        {
            directory = Path.GetDirectoryName(directory);
        }

        return directory ?? throw new DirectoryNotFoundException("no Pronghorn.slnx above " + AppContext.BaseDirectory);
    }
}
