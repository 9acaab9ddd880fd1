// SPDX-License-Identifier: Apache-2.0
// Making, naming and ending sockets. An IPv4 stream socket starts as an ordinary kernel socket, a candidate; what is
// done to it before it is clear whose it will be (options, bind, listen) happens in the kernel, and the core reads it
// back from there when it takes the socket over.
#include "preload.h"

#include <netinet/in.h>

EXPORT int socket(int domain, int type, int protocol)
{
    int fd = real_socket(domain, type, protocol);
    int kind = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 && domain == AF_INET && kind == SOCK_STREAM && (protocol == 0 || protocol == IPPROTO_TCP)
        && core_possible())
    {
        descriptor_set_class(fd, PRONGHORN_CANDIDATE);
    }

    return fd;
}

static bool is_loopback(uint32_t address)
{
    return (ntohl(address) >> 24) == 127;
}

static bool local_address(int fd, uint32_t *address)
{
    union
    {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } name = {0};
    socklen_t length = sizeof name;
    if (real_getsockname(fd, &name.any, &length) != 0)
    {
        return false;
    }

    bool dual = name.any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&name.six.sin6_addr);
    *address = dual ? 0 : name.four.sin_addr.s_addr;
    return dual || name.any.sa_family == AF_INET;
}

// Whether a socket that now listens in the kernel also takes IPv4 connections by an IPv6 wildcard (IPV6_V6ONLY off).
static bool is_dual_stack(int fd)
{
    uint32_t address;
    int domain = 0;
    int protocol = 0;
    int only = 1;
    socklen_t length = sizeof domain;
    return real_getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_INET6
           && real_getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) == 0 && protocol == IPPROTO_TCP
           && real_getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &length) == 0 && only == 0
           && local_address(fd, &address);
}

bool socket_activate(int fd)
{
    int saved_errno = errno;
    uint32_t address;
    int result = PRONGHORN_KERNEL;
    if (local_address(fd, &address) && !is_loopback(address) && core_ensure(address, false))
    {
        if (!core_enter())
        {
            return false;
        }

        result = core.activate(fd);
        core_leave();
    }

    if (result != 0)
    {
        descriptor_set_class(fd, PRONGHORN_NONE);
        if (result != PRONGHORN_KERNEL)
        {
            core_note_fallback(result);
        }
    }

    errno = saved_errno;
    return result == 0;
}

bool socket_adopt(int fd)
{
    int saved_errno = errno;
    int result = -1;
    uint32_t address = 0;
    // The socket may yet turn out to be for the kernel: the core then gives it back, and the sets watch it there.
    local_address(fd, &address);
    if (!is_loopback(address) && core_ensure(address, false) && core_enter())
    {
        result = core.adopt(fd);
        core_leave();
        if (result != 0)
        {
            core_note_fallback(result);
        }
    }

    if (result != 0)
    {
        descriptor_set_class(fd, PRONGHORN_NONE);
    }

    errno = saved_errno;
    return result == 0;
}

EXPORT int listen(int fd, int backlog)
{
    int saved_errno = errno;
    int result = real_listen(fd, backlog);
    int class = descriptor_class(fd);
    uint32_t address;
    if (result != 0)
    {
        return result;
    }

    if (class == PRONGHORN_NONE && core_possible() && is_dual_stack(fd))
    {
        descriptor_set_class(fd, PRONGHORN_LISTENING);
    }

    if (class == PRONGHORN_CANDIDATE)
    {
        bool ours = local_address(fd, &address) && !is_loopback(address);
        descriptor_set_class(fd, ours ? PRONGHORN_LISTENING : PRONGHORN_NONE);
    }
    else if (class == PRONGHORN_SOCKET && core_enter())
    {
        result = core.listen(fd, backlog);
        core_leave();
        return (int)finish_call(result, saved_errno);
    }

    errno = saved_errno;
    return result;
}

static long connect_ours(int fd, const struct sockaddr *address, socklen_t length)
{
    pthread_testcancel();
    if (!core_enter())
    {
        return -EAGAIN;
    }

    long result = core.connect(fd, address, length, 0);
    if (result == PRONGHORN_WAIT)
    {
        int64_t limit = core.timeout(fd, 1);
        struct pollfd slots[WAIT_SLOTS];
        struct waiting waiting = {.deadline = deadline_after(limit), .fds = slots, .restarts = true};
        wait_guard(&waiting);
        do
        {
            int failure = wait_round(&waiting);
            result = failure == -ETIMEDOUT ? -EINPROGRESS : failure;
            if (failure == 0)
            {
                result = core.connect(fd, address, length, 1);
            }
        } while (result == PRONGHORN_WAIT);

        wait_unguard(&waiting);
    }

    core_leave();
    return result;
}

int socket_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    int class = descriptor_class(fd);
    int saved_errno = errno;
    const struct sockaddr_in *to = (const struct sockaddr_in *)(const void *)address;
    if (class == PRONGHORN_CANDIDATE)
    {
        bool reachable = address != NULL && length >= sizeof *to && to->sin_family == AF_INET
                         && to->sin_addr.s_addr != 0 && !is_loopback(to->sin_addr.s_addr);
        if (!reachable || !core_ensure(to->sin_addr.s_addr, true))
        {
            return real_connect(fd, address, length);
        }
    }
    else if (class != PRONGHORN_SOCKET)
    {
        return real_connect(fd, address, length);
    }

    long result = connect_ours(fd, address, length);
    if (result == PRONGHORN_KERNEL || result <= PRONGHORN_FALLBACK)
    {
        if (result <= PRONGHORN_FALLBACK)
        {
            core_note_fallback((int)(result - PRONGHORN_FALLBACK));
        }

        descriptor_set_class(fd, PRONGHORN_NONE);
        errno = saved_errno;
        return real_connect(fd, address, length);
    }

    return (int)finish_call(result, saved_errno);
}

int socket_accept(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    int saved_errno = errno;
    if (descriptor_class(fd) == PRONGHORN_LISTENING)
    {
        socket_activate(fd);
    }

    if (!descriptor_is_socket(fd))
    {
        return real_accept4(fd, address, length, flags);
    }

    pthread_testcancel();
    if (!core_enter())
    {
        errno = EAGAIN;
        return -1;
    }

    long result = core.accept(fd, address, length, flags);
    if (result == PRONGHORN_WAIT)
    {
        // Connections also come over the kernel's path.
        struct pollfd slots[1 + WAIT_SLOTS] = {{.fd = fd, .events = POLLIN}};
        struct waiting waiting = {.deadline = deadline_after(core.timeout(fd, 0)), .fds = slots, .count = 1, .restarts = true};
        wait_guard(&waiting);
        do
        {
            int failure = wait_round(&waiting);
            result = failure == -ETIMEDOUT ? -EAGAIN : failure;
            if (failure == 0)
            {
                result = core.accept(fd, address, length, flags);
            }
        } while (result == PRONGHORN_WAIT);

        wait_unguard(&waiting);
    }

    core_leave();
    return (int)finish_call(result, saved_errno);
}

int socket_shutdown(int fd, int how)
{
    int saved_errno = errno;
    if (!core_enter())
    {
        errno = EAGAIN;
        return -1;
    }

    long result = core.shutdown(fd, how);
    core_leave();
    return result == PRONGHORN_KERNEL ? real_shutdown(fd, how) : (int)finish_call(result, saved_errno);
}

int socket_name(int fd, struct sockaddr *address, socklen_t *length, int peer)
{
    int saved_errno = errno;
    if (!core_enter())
    {
        errno = EAGAIN;
        return -1;
    }

    long result = core.get_name(fd, address, length, peer);
    core_leave();
    if (result == PRONGHORN_KERNEL)
    {
        return peer ? real_getpeername(fd, address, length) : real_getsockname(fd, address, length);
    }

    return (int)finish_call(result, saved_errno);
}

int socket_get_option(int fd, int level, int name, void *value, socklen_t *length)
{
    int saved_errno = errno;
    if (!core_enter())
    {
        errno = EAGAIN;
        return -1;
    }

    long result = core.get_option(fd, level, name, value, length);
    core_leave();
    return result == PRONGHORN_KERNEL ? real_getsockopt(fd, level, name, value, length)
                                      : (int)finish_call(result, saved_errno);
}

int socket_set_option(int fd, int level, int name, const void *value, socklen_t length)
{
    int saved_errno = errno;
    if (!core_enter())
    {
        errno = EAGAIN;
        return -1;
    }

    long result = core.set_option(fd, level, name, value, length);
    core_leave();
    return result == PRONGHORN_KERNEL ? real_setsockopt(fd, level, name, value, length)
                                      : (int)finish_call(result, saved_errno);
}
