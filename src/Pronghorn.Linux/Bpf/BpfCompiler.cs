// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Bpf;

/// <summary>Whether the kernel compiles BPF programs to machine code, found out by loading one.</summary>
/// <remarks>The sysctl bpf_jit_enable says the same, but exists in the initial network namespace only.</remarks>
public static class BpfCompiler
{
    /// <summary>Loads a program of two instructions and looks what became of it.</summary>
    /// <param name="isCompiled">Whether it is machine code; false when it would be interpreted.</param>
    /// <returns>0 or the negative error number: -EPERM without CAP_BPF, when it cannot be told.</returns>
    public static int Probe(out bool isCompiled)
    {
        isCompiled = false;
        int program = BpfSyscall.LoadTrivialProgram();
        if (program < 0)
        {
            return program;
        }

        int result = BpfSyscall.GetLengths(program, out uint translated, out uint compiled);
        _ = Libc.Close(program);
        isCompiled = compiled > 0;

        // Where anybody may load a socket filter (kernel.unprivileged_bpf_disabled is 0), both lengths read 0 without CAP_BPF.
        return result == 0 && translated == 0 ? -Errno.OperationNotPermitted : result;
    }
}
