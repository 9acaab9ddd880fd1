// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Linq;
using Mono.Cecil;
using Pronghorn.Lab;

namespace Pronghorn.Lab.Tests.Services;

/// <summary>
/// The product with other BPF programs: the same sources, compiled to a later instruction set (with 32-bit jumps and arithmetic,
/// since Linux 5.1), so that each program differs and does the same, as the next release's do.
/// </summary>
internal sealed class OtherBuild : IDisposable
{
    private const string Library = "Pronghorn.LoadBalancer.dll";

    private readonly string _folder = Directory.CreateTempSubdirectory("pronghorn-other-build-").FullName;

    /// <summary>Makes it from the tree and from what was built of it.</summary>
    public OtherBuild()
    {
        string artifacts = Path.Combine(Product.LibraryDirectory, "..");
        string built = Path.Combine(artifacts, "bin", "Pronghorn.Cli", "release");
        foreach (string file in Directory.EnumerateFiles(built))
        {
            File.Copy(file, Path.Combine(_folder, Path.GetFileName(file)));
        }

        using var library = ModuleDefinition.ReadModule(Path.Combine(built, Library));
        Resource[] programs = [.. library.Resources.Where(static item => item.Name.EndsWith(".bpf.o", StringComparison.Ordinal))];
        foreach (Resource program in programs)
        {
            library.Resources.Remove(program);
            byte[] code = Compile(Path.Combine(artifacts, "..", "bpf", Path.ChangeExtension(program.Name, ".c")));
            library.Resources.Add(new EmbeddedResource(program.Name, program.Attributes, code));
        }

        library.Write(Path.Combine(_folder, Library));
    }

    /// <summary>Its program.</summary>
    public string Program => Path.Combine(_folder, "pronghorn");

    /// <inheritdoc/>
    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private byte[] Compile(string source)
    {
        string target = Path.Combine(_folder, "program.o");
        string multiarch = LabCommand.Run("gcc", "-print-multiarch").Trim();
        LabCommand.Run(
            "clang", "-O2", "-g", "-target", "bpf", "-mcpu=v3", "-I/usr/include/" + multiarch, "-c", source, "-o", target);
        byte[] code = File.ReadAllBytes(target);
        File.Delete(target);
        return code;
    }
}
