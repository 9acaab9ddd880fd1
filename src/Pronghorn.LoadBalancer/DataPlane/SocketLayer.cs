// SPDX-License-Identifier: Apache-2.0
using System;
using System.Collections.Generic;
using System.Collections.Immutable;
using System.IO;
using System.Linq;
using Pronghorn.Linux.Bpf;
using Pronghorn.Linux.Interop;

namespace Pronghorn.LoadBalancer.DataPlane;

/// <summary>
/// The socket layer in the kernel: the programs of bpf/service_socket.bpf.c on a cgroup. Links and maps are pinned, so it
/// works on when this process ends; starting again replaces the programs in place, without a moment in which none runs.
/// </summary>
public sealed class SocketLayer
{
    private const string Resource = "service_socket.bpf.o";
    private const string PinPrefix = "socket_";

    // The way back goes first, so that no connection is translated that getpeername could not explain.
    private static readonly ImmutableArray<(string Hook, BpfAttachType Type)> s_hooks =
    [
        ("sock_release", BpfAttachType.SocketRelease),
        ("getpeername4", BpfAttachType.GetPeerName4),
        ("getpeername6", BpfAttachType.GetPeerName6),
        ("recvmsg4", BpfAttachType.ReceiveMessage4),
        ("recvmsg6", BpfAttachType.ReceiveMessage6),
        ("post_bind4", BpfAttachType.PostBind4),
        ("post_bind6", BpfAttachType.PostBind6),
        ("sendmsg4", BpfAttachType.SendMessage4),
        ("sendmsg6", BpfAttachType.SendMessage6),
        ("connect4", BpfAttachType.Connect4),
        ("connect6", BpfAttachType.Connect6),
    ];

    private readonly PinLayout _pins;

    /// <summary>How many hooks have a program when all is attached.</summary>
    public static int HookCount => s_hooks.Length;

    /// <summary>What the kernel must have.</summary>
    public static ImmutableArray<BpfFeature> Features { get; } =
    [
        BpfFeature.SocketAddressHooks, BpfFeature.GetPeerNameHooks, BpfFeature.PostBindHooks, BpfFeature.SocketReleaseHook,
        BpfFeature.NamespaceCookieHelper, BpfFeature.SetReturnValue, BpfFeature.NamespaceCookieOption, BpfFeature.CgroupLinks,
    ];

    /// <summary>Names the layer of an instance; starts nothing.</summary>
    public SocketLayer(PinLayout pins)
    {
        ArgumentNullException.ThrowIfNull(pins);
        _pins = pins;
    }

    /// <summary>The root of the cgroup v2 hierarchy: all processes of the machine are below it. Null when none is mounted.</summary>
    public static string? FindCgroupRoot() =>
        (from line in File.ReadLines("/proc/self/mounts")
         let fields = line.Split(' ')
         where fields.Length > 2 && fields[2] == "cgroup2"
         select fields[1]).FirstOrDefault();

    /// <summary>
    /// Loads the programs and attaches them to a cgroup, or replaces those that are attached. All maps of the balancer exist
    /// afterwards.
    /// </summary>
    /// <param name="cgroup">Path of a cgroup v2 folder; the sockets of all processes in it and below are served.</param>
    /// <param name="sizes">Sizes of the maps; must be those of pinned maps, if there are any.</param>
    /// <exception cref="BpfException">
    /// The kernel lacks something, or a step failed. What was attached before stays; what this call attached is gone again.
    /// </exception>
    public void Start(string cgroup, MapSizes sizes)
    {
        ArgumentException.ThrowIfNullOrEmpty(cgroup);
        ArgumentNullException.ThrowIfNull(sizes);
        long cgroupId = Libc.GetInode(cgroup);
        if (cgroupId < 0)
        {
            throw new BpfException(BpfStep.Attach, $"the cgroup {cgroup}", (int)-cgroupId);
        }

        BpfFeature.Require(Features);
        _pins.Create();
        using BpfObject opened = BpfObject.OpenResource(typeof(SocketLayer).Assembly, Resource, _pins.Folder);
        sizes.ApplyTo(opened);
        opened.Load();
        List<string> attached = [];
        try
        {
            foreach ((string hook, BpfAttachType type) in s_hooks)
            {
                using BpfProgram program = opened.GetProgram("pronghorn_" + hook);
                if (!Replace(hook, program, (ulong)cgroupId))
                {
                    using BpfLink link = BpfLink.AttachCgroup(program, cgroup, type);
                    link.Pin(LinkPath(hook));
                    attached.Add(hook);
                }
            }
        }
        catch (BpfException)
        {
            attached.Reverse();
            attached.ForEach(Detach);
            throw;
        }
    }

    /// <summary>The programs that run, by hook; a hook whose cgroup has gone, or that is not attached, is not among them.</summary>
    public IReadOnlyDictionary<string, BpfLinkState> GetAttachments()
    {
        Dictionary<string, BpfLinkState> attachments = [];
        foreach ((string hook, _) in s_hooks)
        {
            using BpfLink? link = BpfLink.TryOpenPinned(LinkPath(hook));
            if (link is not null && link.GetState() is { CgroupId: not 0 } state)
            {
                attachments[hook] = state;
            }
        }

        return attachments;
    }

    /// <summary>Detaches all. Connections that were made stay as they are. Does nothing when nothing is attached.</summary>
    public void Stop()
    {
        foreach ((string hook, _) in s_hooks.Reverse())
        {
            Detach(hook);
        }
    }

    private string LinkPath(string hook) => _pins.Link(PinPrefix + hook);

    /// <summary>Replaces the program of a link that is pinned; false when there is none on that cgroup.</summary>
    private bool Replace(string hook, BpfProgram program, ulong cgroupId)
    {
        using BpfLink? link = BpfLink.TryOpenPinned(LinkPath(hook));
        if (link is null)
        {
            return false;
        }

        if (link.GetState().CgroupId != cgroupId)
        {
            Detach(hook);
            return false;
        }

        link.Update(program);
        return true;
    }

    private void Detach(string hook)
    {
        using BpfLink? link = BpfLink.TryOpenPinned(LinkPath(hook));
        if (link is not null)
        {
            _ = link.Detach();
            BpfFileSystem.Unpin(LinkPath(hook));
        }
    }
}
