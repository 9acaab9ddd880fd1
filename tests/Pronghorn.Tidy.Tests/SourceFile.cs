// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Linq;
using System.Xml.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Pronghorn.Tidy.Tests;

/// <summary>A file of the tree, or a snippet that a test makes up.</summary>
public sealed class SourceFile
{
    private readonly Lazy<SyntaxTree> _syntax;
    private readonly Lazy<XDocument> _xml;

    public SourceFile(string path, string text)
    {
        Path = path;
        Text = text;
        Lines = text.Split('\n');
        _syntax = new Lazy<SyntaxTree>(() => CSharpSyntaxTree.ParseText(text, new CSharpParseOptions(LanguageVersion.CSharp14)));
        _xml = new Lazy<XDocument>(() => XDocument.Parse(text, LoadOptions.SetLineInfo));
    }

    /// <summary>Relative to the root, with '/'.</summary>
    public string Path { get; }

    public string Text { get; }

    /// <summary>Without line feeds; the last one is empty if the file ends as it should.</summary>
    public string[] Lines { get; }

    public string Extension => System.IO.Path.GetExtension(Path);

    public bool IsCSharp => Extension == ".cs";

    public bool IsProject => Extension == ".csproj";

    public bool IsNative => Extension is ".c" or ".h";

    /// <summary>src, tests, lab, bench, ...; empty for a file at the root.</summary>
    public string Room => Path.Contains('/', StringComparison.Ordinal) ? Path.Split('/')[0] : string.Empty;

    /// <summary>The project that the file is in: the second part of the path.</summary>
    public string Project => Room is "src" or "tests" or "lab" or "bench" ? Path.Split('/').ElementAtOrDefault(1) ?? "" : "";

    public SyntaxTree Syntax => _syntax.Value;

    public SyntaxNode Root => Syntax.GetRoot();

    public XDocument Xml => _xml.Value;

    public static SourceFile Read(string root, string fullPath) =>
        new(System.IO.Path.GetRelativePath(root, fullPath).Replace('\\', '/'), File.ReadAllText(fullPath));

    public Finding At(SyntaxToken token, string problem) => At(token.GetLocation(), problem);

    public Finding At(SyntaxNode node, string problem) => At(node.GetLocation(), problem);

    private Finding At(Location location, string problem) =>
        new(Path, location.GetLineSpan().StartLinePosition.Line + 1, problem);
}
