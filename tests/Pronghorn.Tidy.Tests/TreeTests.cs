// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.Tidy.Tests.Rules;
using Xunit;

namespace Pronghorn.Tidy.Tests;

/// <summary>The tree keeps the rules.</summary>
public sealed class TreeTests
{
    private static readonly RepositoryTree s_tree = RepositoryTree.Load();

    [Fact]
    public void Tree_Read_HasTheFilesThatTheRulesAreAbout()
    {
        Assert.Contains(s_tree.Files, file => file.Path == "src/Pronghorn.Wire/Checksum.cs");
        Assert.Contains(s_tree.Projects, file => file.Path == "src/Pronghorn.Stack/Pronghorn.Stack.csproj");
        Assert.DoesNotContain(s_tree.Files, file => file.Path.StartsWith("artifacts/", StringComparison.Ordinal));
    }

    [Fact]
    public void Methods_Measured_FitOnAScreen() => Holds(MethodLengthRule.Check);

    [Fact]
    public void ProjectReferences_Followed_PointDownward() => Holds(ProjectRules.References);

    [Fact]
    public void PackageReferences_Read_HaveNoVersion() => Holds(ProjectRules.PackageVersions);

    [Fact]
    public void ProjectsOfTheLibrary_Read_BuildAheadOfTime() => Holds(ProjectRules.AheadOfTime);

    [Fact]
    public void Solution_ComparedWithTheTree_HasEveryProject() => AssertNone(ProjectRules.Solution(s_tree));

    [Fact]
    public void UnsafeCode_LookedFor_IsOnlyWhereItMayBe() => Holds(CodeRules.Unsafe);

    [Fact]
    public void PlatformInvokes_LookedFor_AreOnlyInTheOneDoor() => Holds(CodeRules.PlatformInvoke);

    [Fact]
    public void ConsoleOutput_LookedFor_IsOnlyInTheCommandLine() => Holds(CodeRules.ConsoleOutput);

    [Fact]
    public void Core_LookedThrough_IsPure() => Holds(CodeRules.PureCore);

    [Fact]
    public void Code_LookedThrough_HasNoRegions() => Holds(CodeRules.Region);

    [Fact]
    public void Files_Opened_SayTheirLicence() => Holds(TextRules.Licence);

    [Fact]
    public void Lines_Measured_AreLaidOutAlike() => Holds(TextRules.Layout);

    [Fact]
    public void Text_Searched_HoldsNoUnfinishedWork() => Holds(TextRules.Unfinished);

    [Fact]
    public void Text_Searched_HoldsNoPathOfAMachine() => Holds(TextRules.MachinePath);

    private static void Holds(Func<SourceFile, IEnumerable<Finding>> rule) => AssertNone(s_tree.Files.SelectMany(rule));

    private static void AssertNone(IEnumerable<Finding> findings)
    {
        string report = string.Join('\n', findings);
        Assert.True(report.Length == 0, report);
    }
}
