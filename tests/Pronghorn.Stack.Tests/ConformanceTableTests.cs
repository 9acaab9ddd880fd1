// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Xunit;

namespace Pronghorn.Stack.Tests;

/// <summary>The conformance tables name tests; they must be there.</summary>
public sealed partial class ConformanceTableTests
{
    [Theory]
    [InlineData("rfc9293.md")]
    [InlineData("extensions.md")]
    public void EveryTestThatATableNames_Exists(string file)
    {
        string text = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, file));
        Type[] types = typeof(ConformanceTableTests).Assembly.GetTypes();
        var missing = new List<string>();
        foreach (Match match in TestName().Matches(text))
        {
            string method = match.Groups["method"].Value;
            Type? type = types.FirstOrDefault(t => t.Name == match.Groups["class"].Value);
            if (type == null || (method.Length > 0 && !type.GetMethods().Any(m => m.Name.StartsWith(method, StringComparison.Ordinal))))
            {
                missing.Add(match.Value);
            }
        }

        Assert.Empty(missing);
    }

    [Fact]
    public void EveryRequirement_IsInTheTable()
    {
        string text = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "rfc9293.md"));
        Dictionary<string, HashSet<int>> found = [];
        foreach (Match match in Requirement().Matches(text))
        {
            string kind = match.Groups["kind"].Value;
            found.TryAdd(kind, []);
            foreach (Match number in Number().Matches(match.Groups["numbers"].Value))
            {
                found[kind].Add(int.Parse(number.Value, System.Globalization.CultureInfo.InvariantCulture));
            }
        }

        Assert.Empty(Enumerable.Range(1, 69).Except(found["MUST"]));
        Assert.Empty(Enumerable.Range(1, 31).Except(found["SHLD"]));
        Assert.Empty(Enumerable.Range(1, 18).Except(found["MAY"]));
    }

    [GeneratedRegex(@"(?<!Wire\.Tests: )\b(?<class>[A-Z]\w+Tests)(\.(?<method>\w+))?")]
    private static partial Regex TestName();

    [GeneratedRegex(@"\b(?<kind>MUST|SHLD|MAY)-(?<numbers>\d+(, \d+)*)")]
    private static partial Regex Requirement();

    [GeneratedRegex(@"\d+")]
    private static partial Regex Number();
}
