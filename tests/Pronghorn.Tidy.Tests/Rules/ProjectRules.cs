// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Xml.Linq;

namespace Pronghorn.Tidy.Tests.Rules;

/// <summary>What holds for the project files and the solution.</summary>
public static class ProjectRules
{
    /// <summary>
    /// The edges that are allowed: they point downward (ARCHITECTURE.md). A new project gets its line here first.
    /// </summary>
    private static readonly Dictionary<string, string[]> s_allowedReferences = new(StringComparer.Ordinal)
    {
        ["Wire"] = [],
        ["Memory"] = [],
        ["Stack"] = ["Wire", "Memory"],
        ["Simulation"] = ["Stack", "Wire", "Memory"],
        ["Linux"] = ["Wire", "Memory"],
        ["Lab"] = ["Linux", "Wire", "Memory"],
        ["Lab.Services"] = ["Lab", "LoadBalancer", "Linux", "Wire", "Memory"],
        ["Lab.Cdn"] = ["Lab", "Handoff", "Linux", "Wire", "Memory"],
        ["Devices"] = ["Linux", "Stack", "Wire", "Memory"],
        ["Runtime"] = ["Devices", "Linux", "Stack", "Wire", "Memory"],
        ["Posix"] = ["Runtime", "Devices", "Linux", "Stack", "Wire", "Memory"],
        ["Preload"] = ["Posix", "Runtime", "Devices", "Linux", "Stack", "Wire", "Memory"],
        ["Sockets"] = ["Runtime", "Devices", "Linux", "Stack", "Wire", "Memory"],
        ["AspNetCore"] = ["Sockets"],
        ["Web"] = [],
        ["LoadBalancer"] = ["Web", "Linux", "Wire", "Memory"],
        ["Handoff"] = ["Web", "Linux", "Wire", "Memory"],
        ["Observability"] = ["Runtime", "Linux", "Stack", "Wire", "Memory"],
        ["Daemon"] = ["Observability", "LoadBalancer", "Handoff", "Posix", "Runtime", "Devices", "Linux", "Stack", "Wire", "Memory"],
        ["Cli"] =
        [
            "Lab", "Lab.Services", "Lab.Cdn", "Observability", "LoadBalancer", "Handoff", "Simulation", "Runtime", "Devices", "Linux",
            "Stack", "Wire", "Memory",
        ],
    };

    /// <summary>What is compiled ahead of time, and so targets both frameworks.</summary>
    private static readonly string[] s_aheadOfTime = ["Wire", "Memory", "Linux", "Stack", "Devices", "Runtime", "Posix", "Preload"];

    /// <summary>References between projects point downward; tests and benchmarks refer to what they like except each other.</summary>
    public static IEnumerable<Finding> References(SourceFile project)
    {
        if (!project.IsProject)
        {
            yield break;
        }

        string name = ShortName(project.Path);
        bool isProduct = project.Room is "src" or "lab";
        if (isProduct && !s_allowedReferences.ContainsKey(name))
        {
            yield return new Finding(project.Path, 0, $"{name} is not in the table of allowed references; give it a line there");
            yield break;
        }

        foreach (string include in Includes(project, "ProjectReference"))
        {
            string target = ShortName(include);
            bool isDevelopment = IsDevelopmentPath(include) || target.EndsWith(".Tests", StringComparison.Ordinal);
            bool allowed = isProduct ? s_allowedReferences[name].Contains(target) : !isDevelopment;
            if (!allowed)
            {
                yield return new Finding(project.Path, 0, $"{name} may not refer to {target}");
            }
        }
    }

    /// <summary>Versions stand in Directory.Packages.props alone.</summary>
    public static IEnumerable<Finding> PackageVersions(SourceFile project) =>
        from reference in project.IsProject ? project.Xml.Descendants("PackageReference") : []
        where reference.Attribute("Version") is not null || reference.Attribute("VersionOverride") is not null
            || reference.Element("Version") is not null || reference.Element("VersionOverride") is not null
        select new Finding(
            project.Path,
            0,
            $"{reference.Attribute("Include")?.Value} has a version of its own; it belongs in Directory.Packages.props");

    /// <summary>Whatever goes into the preload library builds for the framework that it is compiled for, under its analysers.</summary>
    public static IEnumerable<Finding> AheadOfTime(SourceFile project)
    {
        if (!project.IsProject || project.Room != "src" || !s_aheadOfTime.Contains(ShortName(project.Path)))
        {
            yield break;
        }

        if (project.Xml.Descendants("TargetFrameworks").All(element => element.Value.Trim() != "$(PronghornClosureTfms)")
            && ShortName(project.Path) != "Preload")
        {
            yield return new Finding(project.Path, 0, "the target frameworks are $(PronghornClosureTfms)");
        }

        if (!project.Xml.Descendants("IsAotCompatible").Concat(project.Xml.Descendants("PublishAot"))
            .Any(element => element.Value.Trim() == "true"))
        {
            yield return new Finding(project.Path, 0, "IsAotCompatible is true");
        }
    }

    /// <summary>The solution has every project, and every project of the solution is there.</summary>
    public static IEnumerable<Finding> Solution(RepositoryTree tree)
    {
        const string SolutionPath = "Pronghorn.slnx";
        SourceFile? solution = tree.Files.FirstOrDefault(file => file.Path == SolutionPath);
        string[] listed = [.. solution?.Xml.Descendants("Project").Select(project => project.Attribute("Path")!.Value) ?? []];
        string[] present = [.. tree.Projects.Select(project => project.Path)];
        foreach (string path in present.Except(listed))
        {
            yield return new Finding(path, 0, $"not in {SolutionPath}; run eng/solution.sh");
        }

        foreach (string path in listed.Except(present))
        {
            yield return new Finding(SolutionPath, 0, $"{path} does not exist; run eng/solution.sh");
        }
    }

    private static IEnumerable<string> Includes(SourceFile project, string item) =>
        project.Xml.Descendants(item).Select(element => element.Attribute("Include")?.Value ?? string.Empty);

    private static bool IsDevelopmentPath(string include)
    {
        string[] parts = include.Replace('\\', '/').Split('/');
        return parts.Contains("tests") || parts.Contains("bench");
    }

    private static string ShortName(string path)
    {
        string name = Path.GetFileNameWithoutExtension(path.Replace('\\', '/'));
        const string Prefix = "Pronghorn.";
        return name.StartsWith(Prefix, StringComparison.Ordinal) ? name[Prefix.Length..] : name;
    }
}
