// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Linq;
using Pronghorn.Tidy.Tests.Rules;
using Xunit;

namespace Pronghorn.Tidy.Tests;

/// <summary>Each rule catches what it is there for, and lets the rest pass.</summary>
public sealed class RuleTests
{
    private const string Apache = "// SPDX-License-Identifier: Apache-2.0\n";
    private const string Kernel = "// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause\n";
    private const string Core = "src/Pronghorn.Stack/A.cs";

    [Theory]
    [InlineData("void M()\n{\n%}", 67, false)]
    [InlineData("void M()\n{\n%}", 68, true)]
    [InlineData("int P\n{\nget\n{\n%}\n}", 68, true)]
    [InlineData("A()\n{\n%}", 68, true)]
    [InlineData("public static A operator +(A a, A b)\n{\n%}", 68, true)]
    [InlineData("void M()\n{\nvoid L()\n{\n%}\n}", 68, true)]
    public void CSharpMethod_OfManyLines_IsCaught(string template, int lines, bool caught)
    {
        string body = string.Concat(Enumerable.Repeat("M();\n", lines));
        var file = new SourceFile(Core, "class A\n{\n" + template.Replace("%", body, StringComparison.Ordinal) + "\n}\n");
        Assert.Equal(caught, MethodLengthRule.Check(file).Any());
    }

    [Theory]
    [InlineData("int f(void) {\n", 68, false)]
    [InlineData("int f(void) {\n", 69, true)]
    [InlineData("int f(void)\n{\n", 68, true)]
    [InlineData("static const int t[] = {\n", 200, false)]
    public void CFunction_OfManyLines_IsCaught(string head, int lines, bool caught)
    {
        bool isTable = head.Contains('[', StringComparison.Ordinal);
        string text = head + string.Concat(Enumerable.Repeat("    1,\n", lines)) + (isTable ? "};\n" : "}\n");
        Assert.Equal(caught, MethodLengthRule.Check(new SourceFile("native/a.c", text)).Any());
    }

    [Theory]
    [InlineData("src/Pronghorn.Stack/Pronghorn.Stack.csproj", "../Pronghorn.Wire/Pronghorn.Wire.csproj", false)]
    [InlineData("src/Pronghorn.Stack/Pronghorn.Stack.csproj", "..\\Pronghorn.Memory\\Pronghorn.Memory.csproj", false)]
    [InlineData("src/Pronghorn.Stack/Pronghorn.Stack.csproj", "../Pronghorn.Linux/Pronghorn.Linux.csproj", true)]
    [InlineData("src/Pronghorn.Wire/Pronghorn.Wire.csproj", "../Pronghorn.Memory/Pronghorn.Memory.csproj", true)]
    [InlineData("src/Pronghorn.Devices/Pronghorn.Devices.csproj", "../Pronghorn.Runtime/Pronghorn.Runtime.csproj", true)]
    [InlineData("src/Pronghorn.Cli/Pronghorn.Cli.csproj", "../../tests/Pronghorn.Cli.Tests/Pronghorn.Cli.Tests.csproj", true)]
    [InlineData("src/Pronghorn.Unheard/Pronghorn.Unheard.csproj", "../Pronghorn.Wire/Pronghorn.Wire.csproj", true)]
    [InlineData("tests/Pronghorn.A.Tests/Pronghorn.A.Tests.csproj", "../../src/Pronghorn.Posix/Pronghorn.Posix.csproj", false)]
    [InlineData("tests/Pronghorn.A.Tests/Pronghorn.A.Tests.csproj", "../Pronghorn.B.Tests/Pronghorn.B.Tests.csproj", true)]
    public void ProjectReference_ThatPointsUpward_IsCaught(string path, string include, bool caught)
    {
        var project = new SourceFile(path, $"<Project><ItemGroup><ProjectReference Include=\"{include}\" /></ItemGroup></Project>");
        Assert.Equal(caught, ProjectRules.References(project).Any());
    }

    [Theory]
    [InlineData("<PackageReference Include=\"xunit\" />", false)]
    [InlineData("<PackageReference Include=\"xunit\" Version=\"2.9.3\" />", true)]
    [InlineData("<PackageReference Include=\"xunit\" VersionOverride=\"2.9.3\" />", true)]
    [InlineData("<PackageReference Include=\"xunit\"><Version>2.9.3</Version></PackageReference>", true)]
    public void PackageReference_WithAVersion_IsCaught(string item, bool caught) =>
        Expect(ProjectRules.PackageVersions, "src/A/A.csproj", $"<Project><ItemGroup>{item}</ItemGroup></Project>", caught);

    [Theory]
    [InlineData("<TargetFrameworks>$(PronghornClosureTfms)</TargetFrameworks><IsAotCompatible>true</IsAotCompatible>", false)]
    [InlineData("<TargetFrameworks>$(PronghornClosureTfms)</TargetFrameworks>", true)]
    [InlineData("<TargetFramework>net10.0</TargetFramework><IsAotCompatible>true</IsAotCompatible>", true)]
    public void ProjectOfTheLibrary_ThatIsNotForAheadOfTime_IsCaught(string properties, bool caught)
    {
        string text = $"<Project><PropertyGroup>{properties}</PropertyGroup></Project>";
        Expect(ProjectRules.AheadOfTime, "src/Pronghorn.Wire/Pronghorn.Wire.csproj", text, caught);
        Expect(ProjectRules.AheadOfTime, "src/Pronghorn.Cli/Pronghorn.Cli.csproj", text, caught: false);
    }

    [Fact]
    public void Project_MissingFromTheSolutionOrTheTree_IsCaught()
    {
        var solution = new SourceFile("Pronghorn.slnx", "<Solution><Project Path=\"src/A/A.csproj\" /></Solution>");
        var listed = new SourceFile("src/A/A.csproj", "<Project />");
        var unlisted = new SourceFile("src/B/B.csproj", "<Project />");

        Assert.Empty(ProjectRules.Solution(new RepositoryTree([solution, listed])));
        Assert.Single(ProjectRules.Solution(new RepositoryTree([solution, listed, unlisted])), finding => finding.Path == unlisted.Path);
        Assert.Single(ProjectRules.Solution(new RepositoryTree([solution])));
        Assert.Single(ProjectRules.Solution(new RepositoryTree([listed])));
    }

    [Theory]
    [InlineData("src/Pronghorn.Stack/A.cs", "unsafe class A;", true)]
    [InlineData("src/Pronghorn.Stack/A.cs", "class A { void M() { unsafe { } } }", true)]
    [InlineData("src/Pronghorn.Stack/A.cs", "/* unsafe */ class A { string S => \"unsafe\"; }", false)]
    [InlineData("src/Pronghorn.Memory/A.cs", "unsafe class A;", false)]
    [InlineData("tests/Pronghorn.Memory.Tests/A.cs", "unsafe class A;", false)]
    [InlineData("tests/Pronghorn.Stack.Tests/A.cs", "unsafe class A;", true)]
    [InlineData("src/Pronghorn.Stack/A.csproj", "<Project><AllowUnsafeBlocks>true</AllowUnsafeBlocks></Project>", true)]
    [InlineData("src/Pronghorn.Stack/A.csproj", "<Project><AllowUnsafeBlocks>false</AllowUnsafeBlocks></Project>", false)]
    [InlineData("src/Pronghorn.Linux/A.csproj", "<Project><AllowUnsafeBlocks>true</AllowUnsafeBlocks></Project>", false)]
    public void UnsafeCode_WhereItMayNotBe_IsCaught(string path, string text, bool caught) =>
        Expect(CodeRules.Unsafe, path, text, caught);

    [Theory]
    [InlineData("src/Pronghorn.Posix/A.cs", "class A { [DllImport(\"libc\")] static extern int f(); }", true)]
    [InlineData("src/Pronghorn.Posix/A.cs", "class A { [System.LibraryImportAttribute(\"libc\")] static extern int f(); }", true)]
    [InlineData("src/Pronghorn.Linux/A.cs", "class A { [LibraryImport(\"libc\")] static partial int f(); }", false)]
    [InlineData("src/Pronghorn.Preload/A.cs", "class A { [UnmanagedCallersOnly] static int f() => 0; }", false)]
    public void PlatformInvoke_OutsideTheOneDoor_IsCaught(string path, string text, bool caught) =>
        Expect(CodeRules.PlatformInvoke, path, text, caught);

    [Theory]
    [InlineData("src/Pronghorn.Runtime/A.cs", "class A { void M() => Console.WriteLine(); }", true)]
    [InlineData("src/Pronghorn.Runtime/A.cs", "class A { void M() => System.Console.Error.Write(1); }", true)]
    [InlineData("src/Pronghorn.Cli/A.cs", "class A { void M() => Console.WriteLine(); }", false)]
    [InlineData("src/Pronghorn.Runtime/A.cs", "class A { string S => \"Console.WriteLine\"; }", false)]
    public void ConsoleOutput_OutsideTheCommandLine_IsCaught(string path, string text, bool caught) =>
        Expect(CodeRules.ConsoleOutput, path, text, caught);

    [Theory]
    [InlineData(Core, "class A { async void M() { } }", true)]
    [InlineData(Core, "class A { void M() { lock (this) { } } }", true)]
    [InlineData(Core, "class A { void M() => new Thread(M); }", true)]
    [InlineData(Core, "class A { long M() => DateTime.UtcNow.Ticks; }", true)]
    [InlineData(Core, "class A { System.Random _random; }", true)]
    [InlineData(Core, "using System.Linq;\nclass A;", true)]
    [InlineData(Core, "class A { object M(int[] x) => from y in x select y; }", true)]
    [InlineData(Core, "/* lock, Thread, DateTime */ class A { int _lock; int Threads => _lock; }", false)]
    [InlineData("src/Pronghorn.Cli/A.cs", "using System.Linq;\nclass A { async void M() { } }", false)]
    public void ImpureCode_InTheCore_IsCaught(string path, string text, bool caught) =>
        Expect(CodeRules.PureCore, path, text, caught);

    [Theory]
    [InlineData("class A {\n#region B\n#endregion\n}\n", true)]
    [InlineData("class A {\n// #region B\n}\n", false)]
    public void Region_InTheCode_IsCaught(string text, bool caught) => Expect(CodeRules.Region, Core, text, caught);

    [Theory]
    [InlineData("src/A/A.cs", Apache + "class A;\n", false)]
    [InlineData("src/A/A.cs", "class A;\n", true)]
    [InlineData("src/A/A.cs", "\n" + Apache, true)]
    [InlineData("src/A/A.cs", Kernel, true)]
    [InlineData("native/a.h", "int f(void);\n", true)]
    [InlineData("native/a.h", "/* SPDX-License-Identifier: Apache-2.0 */\n", false)]
    [InlineData("native/a.c", "/* SPDX-License-Identifier: Apache-2.0 */\n", true)]
    [InlineData("bpf/a.bpf.c", Kernel, false)]
    [InlineData("bpf/a.bpf.c", Apache, true)]
    [InlineData("a.sh", "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n", false)]
    [InlineData("pronghorn", "#!/bin/sh\necho\n", true)]
    [InlineData("README.md", "# Pronghorn\n", false)]
    public void File_ThatDoesNotSayItsLicence_IsCaught(string path, string text, bool caught) =>
        Expect(TextRules.Licence, path, text, caught);

    [Theory]
    [InlineData("a.cs", "class A;\n", false)]
    [InlineData("a.cs", "\tclass A;\n", true)]
    [InlineData("bpf/a.bpf.c", "\treturn 0;\n", false)]
    [InlineData("bpf/a.bpf.c", "\treturn\t0;\n", true)]
    [InlineData("a.cs", "class A; \n", true)]
    [InlineData("a.cs", "class A;\r\n", true)]
    [InlineData("a.cs", "class A;", true)]
    [InlineData("a.md", "text \n", true)]
    public void Line_LaidOutWrongly_IsCaught(string path, string text, bool caught) =>
        Expect(TextRules.Layout, path, text, caught);

    [Theory]
    [InlineData("a.cs", TextRules.MaximumColumns, false)]
    [InlineData("a.cs", TextRules.MaximumColumns + 1, true)]
    [InlineData("a.md", TextRules.MaximumColumns + 1, false)]
    public void Line_OfManyColumns_IsCaught(string path, int columns, bool caught) =>
        Expect(TextRules.Layout, path, new string('x', columns) + "\n", caught);

    [Theory]
    [InlineData("// TO" + "DO: later", true)]
    [InlineData("// FIX" + "ME", true)]
    [InlineData("int toDo; // todos are elsewhere", false)]
    public void UnfinishedWork_InTheText_IsCaught(string text, bool caught) =>
        Expect(TextRules.Unfinished, "src/A/A.cs", text, caught);

    [Theory]
    [InlineData("\"/wo" + "rk/main\"", true)]
    [InlineData("see /wo" + "rk.", false)]
    [InlineData("cd /ro" + "ot/x", true)]
    [InlineData("/ho" + "me/somebody/src", true)]
    [InlineData("/tmp/ar" + "t-x/obj", true)]
    [InlineData("artifacts/wo" + "rk/x and docs/root/y", false)]
    [InlineData("/tmp/pronghorn.XXXX", false)]
    public void PathOfAMachine_InTheText_IsCaught(string text, bool caught) =>
        Expect(TextRules.MachinePath, "docs/a.md", text, caught);

    private static void Expect(Func<SourceFile, IEnumerable<Finding>> rule, string path, string text, bool caught) =>
        Assert.Equal(caught, rule(new SourceFile(path, text)).Any());
}
