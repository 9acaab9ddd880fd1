// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Pronghorn.Tidy.Tests.Rules;

/// <summary>What C# code may use in which project.</summary>
public static class CodeRules
{
    private static readonly string[] s_unsafeProjects = ["Pronghorn.Memory", "Pronghorn.Linux", "Pronghorn.Preload"];
    private static readonly string[] s_pureProjects = ["Pronghorn.Wire", "Pronghorn.Memory", "Pronghorn.Stack"];
    private static readonly string[] s_impureTypes = ["Thread", "DateTime", "Random", "Task", "Stopwatch"];

    /// <summary>Pointers only where memory is mapped and the kernel is called; a project's tests may do what it does.</summary>
    public static IEnumerable<Finding> Unsafe(SourceFile file)
    {
        if (MayBeUnsafe(file.Project))
        {
            return [];
        }

        if (file.IsProject)
        {
            return from element in file.Xml.Descendants("AllowUnsafeBlocks")
                   where string.Equals(element.Value.Trim(), "true", StringComparison.OrdinalIgnoreCase)
                   select new Finding(file.Path, 0, "AllowUnsafeBlocks; only " + string.Join(", ", s_unsafeProjects));
        }

        return Tokens(file, SyntaxKind.UnsafeKeyword, "unsafe; only in " + string.Join(", ", s_unsafeProjects));
    }

    /// <summary>Pronghorn.Linux is the one door to the operating system.</summary>
    public static IEnumerable<Finding> PlatformInvoke(SourceFile file)
    {
        if (!file.IsCSharp || file.Project is "Pronghorn.Linux" or "Pronghorn.Linux.Tests")
        {
            return [];
        }

        return from attribute in file.Root.DescendantNodes().OfType<AttributeSyntax>()
               let name = LastPart(attribute.Name)
               where name is "DllImport" or "DllImportAttribute" or "LibraryImport" or "LibraryImportAttribute"
               select file.At(attribute, $"{name}; only Pronghorn.Linux calls the operating system");
    }

    /// <summary>Libraries report; only commands talk to a terminal.</summary>
    public static IEnumerable<Finding> ConsoleOutput(SourceFile file)
    {
        if (!file.IsCSharp || file.Room is not ("src" or "lab") || file.Project is "Pronghorn.Cli" or "Pronghorn.Daemon")
        {
            return [];
        }

        return from access in file.Root.DescendantNodes().OfType<MemberAccessExpressionSyntax>()
               where access.Expression is SimpleNameSyntax { Identifier.Text: "Console" }
                   || access.Expression is MemberAccessExpressionSyntax { Name.Identifier.Text: "Console" }
               select file.At(access, "Console; only the command line writes to a terminal");
    }

    /// <summary>
    /// The core is synchronous and deterministic. The banned-API analyser knows the types; this rule also knows the keywords.
    /// </summary>
    public static IEnumerable<Finding> PureCore(SourceFile file)
    {
        if (!file.IsCSharp || file.Room != "src" || !s_pureProjects.Contains(file.Project))
        {
            return [];
        }

        const string Why = "the core does no I/O, reads no clock and starts no thread (ADR 0001)";
        IEnumerable<Finding> names =
            from name in file.Root.DescendantNodes().OfType<SimpleNameSyntax>()
            where s_impureTypes.Contains(name.Identifier.Text)
            select file.At(name, $"{name.Identifier.Text}; {Why}");
        IEnumerable<Finding> imports =
            from directive in file.Root.DescendantNodes().OfType<UsingDirectiveSyntax>()
            where directive.Name?.ToString() is "System.Linq" or "System.Threading.Tasks" or "System.IO" or "System.Net.Sockets"
            select file.At(directive, $"{directive.Name}; {Why}");
        return Tokens(file, SyntaxKind.AsyncKeyword, "async; " + Why)
            .Concat(Tokens(file, SyntaxKind.LockKeyword, "lock; " + Why))
            .Concat(file.Root.DescendantNodes().OfType<QueryExpressionSyntax>().Select(query => file.At(query, "LINQ; " + Why)))
            .Concat(names)
            .Concat(imports);
    }

    /// <summary>A region hides what should be a type of its own.</summary>
    public static IEnumerable<Finding> Region(SourceFile file) =>
        from trivia in file.IsCSharp ? file.Root.DescendantTrivia() : []
        where trivia.IsKind(SyntaxKind.RegionDirectiveTrivia)
        select file.At(trivia.GetStructure()!, "a region; split the type instead");

    private static bool MayBeUnsafe(string project)
    {
        const string TestSuffix = ".Tests";
        string tested = project.EndsWith(TestSuffix, StringComparison.Ordinal) ? project[..^TestSuffix.Length] : project;
        return s_unsafeProjects.Contains(tested);
    }

    private static IEnumerable<Finding> Tokens(SourceFile file, SyntaxKind kind, string problem) =>
        file.IsCSharp
            ? file.Root.DescendantTokens().Where(token => token.IsKind(kind)).Select(token => file.At(token, problem))
            : [];

    private static string LastPart(NameSyntax name) => name is QualifiedNameSyntax qualified
        ? qualified.Right.Identifier.Text
        : ((SimpleNameSyntax)(name is AliasQualifiedNameSyntax alias ? alias.Name : name)).Identifier.Text;
}
