// SPDX-License-Identifier: Apache-2.0
using Pronghorn.Linux.Interop;

namespace Pronghorn.Linux.Bpf;

/// <summary>
/// The number by which BPF programs know a network namespace (bpf_get_netns_cookie). No two namespaces ever have the same.
/// </summary>
public static class NamespaceCookie
{
    /// <summary>The number of the calling thread's network namespace (SO_NETNS_COOKIE, Linux 5.14).</summary>
    /// <returns>0, or the negative error number: -ENOPROTOOPT on an older kernel.</returns>
    public static int TryGet(out ulong cookie)
    {
        cookie = 0;
        int fd = Libc.Socket(Constants.AddressFamilyInet, Constants.SocketDatagram | Constants.SocketCloseOnExec, 0);
        if (fd < 0)
        {
            return fd;
        }

        int result = Libc.GetSocketOption(fd, Constants.SocketLevel, Constants.SocketNamespaceCookie, out cookie, out _);
        _ = Libc.Close(fd);
        return result;
    }
}
