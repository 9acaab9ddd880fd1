// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using Pronghorn.Cli.Hosting;
using Xunit;

namespace Pronghorn.Cli.Tests;

public sealed class PreloadabilityTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("pronghorn-test").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void DynamicProgram_Inspected_IsAccepted() => Preloadability.Require("/bin/sh", privileged: false);

    [Fact]
    public void StaticProgram_Inspected_IsRefusedByName()
    {
        string path = Write("static", Elf(programHeaderType: 1));

        CommandException failure = Assert.Throws<CommandException>(() => Preloadability.Require(path, privileged: true));

        Assert.Contains("linked statically", failure.Message, StringComparison.Ordinal);
        Assert.Contains(path, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ScriptOfStaticInterpreter_Inspected_IsRefused()
    {
        string interpreter = Write("interpreter", Elf(programHeaderType: 1));
        string script = Write("script", System.Text.Encoding.ASCII.GetBytes($"#! {interpreter} -x\n"));

        CommandException failure = Assert.Throws<CommandException>(() => Preloadability.Require(script, privileged: true));

        Assert.Contains(interpreter, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ScriptOfShell_Inspected_IsAccepted() =>
        Preloadability.Require(Write("script", "#!/bin/sh\nexit 0\n"u8.ToArray()), privileged: true);

    [Fact]
    public void SetUserIdProgram_ForOrdinaryUser_IsRefused()
    {
        string path = Write("setuid", Elf(programHeaderType: 3));
        File.SetUnixFileMode(path, File.GetUnixFileMode(path) | UnixFileMode.SetUser);

        Preloadability.Require(path, privileged: true);
        CommandException failure = Assert.Throws<CommandException>(() => Preloadability.Require(path, privileged: false));

        Assert.Contains("set-user-ID", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(63)]
    [InlineData(70)]
    public void TruncatedProgram_Inspected_IsRefusedAndNeverThrowsAnythingElse(int length)
    {
        string path = Write("short", Elf(programHeaderType: 3)[..length]);

        Assert.Throws<CommandException>(() => Preloadability.Require(path, privileged: true));
    }

    // A 64-bit little-endian ELF header and one program header.
    private static byte[] Elf(int programHeaderType)
    {
        byte[] file = new byte[64 + 56];
        "\u007fELF"u8.CopyTo(file);
        file[4] = 2;
        file[5] = 1;
        file[32] = 64;
        file[54] = 56;
        file[56] = 1;
        file[64] = (byte)programHeaderType;
        return file;
    }

    private string Write(string name, byte[] content)
    {
        string path = Path.Combine(_directory, name);
        File.WriteAllBytes(path, content);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        return path;
    }
}
