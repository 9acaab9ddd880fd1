// SPDX-License-Identifier: Apache-2.0
using System;
using System.Runtime.InteropServices;
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Bpf;

/// <summary>What was being done when the BPF subsystem refused.</summary>
public enum BpfStep
{
    /// <summary>Finding libbpf.so.1.</summary>
    FindLibrary,

    /// <summary>Reading an object file.</summary>
    OpenObject,

    /// <summary>Finding or setting up a map or program of an object before it is loaded.</summary>
    SetUp,

    /// <summary>Making the maps of an object and verifying its programs.</summary>
    Load,

    /// <summary>Making a map.</summary>
    CreateMap,

    /// <summary>Reading or writing a map.</summary>
    UseMap,

    /// <summary>Attaching a program.</summary>
    Attach,

    /// <summary>Replacing the program of a link.</summary>
    Update,

    /// <summary>Pinning to a file.</summary>
    Pin,

    /// <summary>Opening a pinned object, or one by its id.</summary>
    Open,

    /// <summary>Mounting the BPF file system.</summary>
    Mount,

    /// <summary>Running a program for a test.</summary>
    Run,
}

/// <summary>The BPF subsystem refused. The message has the step, what it was about, the error and what the verifier said.</summary>
public sealed class BpfException : Exception
{
    /// <summary>Makes an exception.</summary>
    /// <param name="step">What was being done.</param>
    /// <param name="subject">To what: the name of an object, map, program or file.</param>
    /// <param name="errorNumber">The positive error number of errno(3); 0 if there is none.</param>
    /// <param name="details">What else is known, such as the verifier's last words; may be empty.</param>
    public BpfException(BpfStep step, string subject, int errorNumber, string details = "")
        : base(Describe(step, subject, errorNumber, details))
    {
        Step = step;
        Subject = subject;
        ErrorNumber = errorNumber;
        Details = details;
    }

    /// <summary>Makes an exception with a message only.</summary>
    public BpfException(string message)
        : base(message)
    {
    }

    /// <summary>Makes an exception with a message and the one that caused it.</summary>
    public BpfException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>Makes an empty exception.</summary>
    public BpfException()
    {
    }

    /// <summary>What was being done.</summary>
    public BpfStep Step { get; }

    /// <summary>To what: the name of an object, map, program or file.</summary>
    public string Subject { get; } = "";

    /// <summary>The positive error number of errno(3); 0 if there is none.</summary>
    public int ErrorNumber { get; }

    /// <summary>What else is known, such as the verifier's last words; may be empty.</summary>
    public string Details { get; } = "";

    /// <summary>Throws when a result is a negative error number; returns it otherwise.</summary>
    internal static int Check(int result, BpfStep step, string subject) =>
        result < 0 ? throw new BpfException(step, subject, -result) : result;

    private static string Describe(BpfStep step, string subject, int errorNumber, string details)
    {
        string doing = step switch
        {
            BpfStep.FindLibrary => "finding",
            BpfStep.OpenObject => "reading the BPF object",
            BpfStep.SetUp => "setting up the BPF object",
            BpfStep.Load => "loading the BPF object",
            BpfStep.CreateMap => "making the BPF map",
            BpfStep.UseMap => "using the BPF map",
            BpfStep.Attach => "attaching",
            BpfStep.Update => "replacing the program of",
            BpfStep.Pin => "pinning to",
            BpfStep.Open => "opening",
            BpfStep.Mount => "mounting the BPF file system on",
            _ => "running the BPF program",
        };
        string error = errorNumber == 0 ? "failed" : $"failed: {Marshal.GetPInvokeErrorMessage(errorNumber)} (errno {errorNumber})";
        string advice = errorNumber is Errno.OperationNotPermitted && step is not BpfStep.Attach
            ? "; this needs root, or CAP_BPF, CAP_NET_ADMIN and, to pin, write access to the BPF file system"
            : "";
        return $"{doing} {subject} {error}{advice}{(details.Length == 0 ? "" : "\n" + details)}";
    }
}
