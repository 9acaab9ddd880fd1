// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Pronghorn.Tidy.Tests.Rules;

/// <summary>A method fits on a screen: at most 70 lines, from its name's line to its closing brace.</summary>
public static class MethodLengthRule
{
    public const int MaximumLines = 70;

    public static IEnumerable<Finding> Check(SourceFile file)
    {
        if (file.IsCSharp)
        {
            return CheckCSharp(file);
        }

        return file.Extension == ".c" ? CheckC(file) : [];
    }

    private static IEnumerable<Finding> CheckCSharp(SourceFile file)
    {
        foreach (SyntaxNode node in file.Root.DescendantNodes())
        {
            (SyntaxToken First, string Name)? start = node switch
            {
                MethodDeclarationSyntax method => (method.Identifier, method.Identifier.Text),
                ConstructorDeclarationSyntax constructor => (constructor.Identifier, constructor.Identifier.Text),
                DestructorDeclarationSyntax destructor => (destructor.Identifier, destructor.Identifier.Text),
                OperatorDeclarationSyntax operation => (operation.OperatorToken, "operator"),
                ConversionOperatorDeclarationSyntax conversion => (conversion.OperatorKeyword, "conversion"),
                LocalFunctionStatementSyntax local => (local.Identifier, local.Identifier.Text),
                AccessorDeclarationSyntax accessor => (accessor.Keyword, accessor.Keyword.Text),
                AnonymousFunctionExpressionSyntax lambda => (lambda.GetFirstToken(), "a lambda"),
                _ => null,
            };
            if (start is not { } found)
            {
                continue;
            }

            int lines = LineOf(node.GetLastToken()) - LineOf(found.First) + 1;
            if (lines > MaximumLines)
            {
                yield return file.At(found.First, $"{found.Name} has {lines} lines; at most {MaximumLines}");
            }
        }
    }

    /// <summary>In the house style a C function opens with a brace that ends a line or stands alone, and closes in column one.</summary>
    private static IEnumerable<Finding> CheckC(SourceFile file)
    {
        int start = -1;
        for (int index = 0; index < file.Lines.Length; index++)
        {
            string line = file.Lines[index];
            bool isIndented = line.Length == 0 || char.IsWhiteSpace(line[0]);
            if (line == "}" && start >= 0)
            {
                int lines = index - start + 1;
                if (lines > MaximumLines)
                {
                    yield return new Finding(file.Path, start + 1, $"a function has {lines} lines; at most {MaximumLines}");
                }

                start = -1;
            }
            else if (!isIndented && line.Contains('(', StringComparison.Ordinal) && !line.StartsWith('#'))
            {
                start = index;
            }
        }
    }

    private static int LineOf(SyntaxToken token) => token.GetLocation().GetLineSpan().EndLinePosition.Line;
}
