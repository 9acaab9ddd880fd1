// SPDX-License-Identifier: Apache-2.0
using System;
using System.IO;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Pronghorn.Linux.Files;
using Pronghorn.Linux.Interop;
using Xunit;

namespace Pronghorn.Linux.Tests;

public sealed class DescriptorPassingTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("pronghorn-pass-").FullName;
    private readonly Socket _near = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly Socket _far;

    public DescriptorPassingTests()
    {
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        var end = new UnixDomainSocketEndPoint(Path.Combine(_folder, "socket"));
        listener.Bind(end);
        listener.Listen();
        _near.Connect(end);
        _far = listener.Accept();
    }

    public void Dispose()
    {
        _near.Dispose();
        _far.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void Descriptor_Passed_IsTheSameFile()
    {
        string file = Path.Combine(_folder, "file");
        File.WriteAllText(file, "content");
        using SafeFileHandle opened = File.OpenHandle(file);
        Assert.Equal(3, DescriptorPassing.Send((int)_near.Handle, "abc"u8, (int)opened.DangerousGetHandle()));

        byte[] buffer = new byte[10];
        Assert.Equal(3, DescriptorPassing.Receive((int)_far.Handle, buffer, out int descriptor));

        Assert.Equal("abc"u8.ToArray(), buffer[..3]);
        using var reader = new StreamReader(new FileStream(new SafeFileHandle(descriptor, ownsHandle: true), FileAccess.Read));
        Assert.Equal("content", reader.ReadToEnd());
    }

    [Fact]
    public void NoDescriptor_Passed_IsNone()
    {
        Assert.Equal(1, DescriptorPassing.Send((int)_near.Handle, "x"u8, -1));
        Assert.Equal(1, DescriptorPassing.Receive((int)_far.Handle, new byte[10], out int descriptor));
        Assert.Equal(-1, descriptor);
    }

    [Fact]
    public void OtherSideHasEnded_Receive_IsTheEndAndSendAnError()
    {
        _near.Dispose();

        Assert.Equal(0, DescriptorPassing.Receive((int)_far.Handle, new byte[10], out int descriptor));
        Assert.Equal(-1, descriptor);
        Assert.True(DescriptorPassing.Send((int)_far.Handle, "x"u8, -1) < 0);
    }

    [Fact]
    public void Peer_Asked_IsThisProcess()
    {
        Assert.Equal(0, DescriptorPassing.GetPeer((int)_far.Handle, out PeerCredentials peer));
        Assert.Equal(Environment.ProcessId, peer.ProcessId);
        Assert.Equal(Libc.GetEffectiveUser(), peer.User);
    }
}
