// SPDX-License-Identifier: Apache-2.0
// poll and select over sockets of ours and kernel descriptors together.
#include "preload.h"

#include <stdlib.h>
#include <string.h>

#define FEW 256
#define MILLISECOND 1000000LL

bool poll_has_ours(const struct pollfd *fds, nfds_t count)
{
    bool ours = false;
    for (nfds_t i = 0; i < count; i++)
    {
        int class = descriptor_class(fds[i].fd);
        if (likely(class == PRONGHORN_NONE))
        {
            continue;
        }

        if (class == PRONGHORN_LISTENING && socket_activate(fds[i].fd))
        {
            class = PRONGHORN_SOCKET;
        }

        ours |= class == PRONGHORN_SOCKET || class == PRONGHORN_EPOLL;
    }

    return ours;
}

// What the kernel is asked: everything but connections of ours. A listener of ours has a kernel side, too.
static void prepare_kernel_side(const struct pollfd *fds, struct pollfd *kernel, nfds_t count)
{
    for (nfds_t i = 0; i < count; i++)
    {
        kernel[i] = fds[i];
        kernel[i].revents = 0;
        if (descriptor_is_socket(fds[i].fd))
        {
            int listening = 0;
            socklen_t length = sizeof listening;
            real_getsockopt(fds[i].fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length);
            kernel[i].fd = listening ? fds[i].fd : -1;
        }
    }
}

static int merge(struct pollfd *fds, const struct pollfd *kernel, nfds_t count)
{
    int ready = 0;
    for (nfds_t i = 0; i < count; i++)
    {
        if (kernel[i].fd >= 0)
        {
            int class = descriptor_class(fds[i].fd);
            bool both = class == PRONGHORN_SOCKET || class == PRONGHORN_EPOLL;
            fds[i].revents = both ? (short)(fds[i].revents | kernel[i].revents) : kernel[i].revents;
        }

        ready += fds[i].revents != 0;
    }

    return ready;
}

static int mixed_rounds(struct pollfd *fds, struct waiting *waiting)
{
    struct pronghorn_round round;
    for (;;)
    {
        for (nfds_t i = 0; i < waiting->count; i++)
        {
            fds[i].revents = 0;
        }

        int own = core.poll_descriptors(fds, waiting->count, &round);
        if (own > 0 || round.now >= waiting->deadline)
        {
            static const struct timespec none;
            int failure = real_ppoll(waiting->fds, waiting->count, &none, waiting->mask) < 0 ? -errno : 0;
            if (failure != 0 && own == 0)
            {
                return failure;
            }
        }

        int ready = merge(fds, waiting->fds, waiting->count);
        if (ready > 0 || round.now >= waiting->deadline)
        {
            return ready;
        }

        // Without a time-out nothing else would end the sleep.
        if (waiting->deadline == NEVER && !waiting->guarded)
        {
            wait_guard(waiting);
        }

        int failure = wait_round(waiting);
        if (failure == -ETIMEDOUT)
        {
            waiting->deadline = 0;
        }
        else if (failure < 0)
        {
            return failure;
        }
    }
}

int poll_mixed(struct pollfd *fds, nfds_t count, int64_t deadline, const sigset_t *mask)
{
    pthread_testcancel();
    struct pollfd few[FEW + WAIT_SLOTS];
    struct pollfd *kernel = count <= FEW ? few : malloc((count + WAIT_SLOTS) * sizeof *kernel);
    int saved_errno = errno;
    if (kernel == NULL)
    {
        errno = ENOMEM;
        return -1;
    }

    memset(kernel, 0, (count + WAIT_SLOTS) * sizeof *kernel);
    prepare_kernel_side(fds, kernel, count);
    long result = -EINTR;
    void *memory = kernel != few ? kernel : NULL;
    if (core_enter())
    {
        struct waiting waiting = {
            .deadline = deadline, .fds = kernel, .count = count, .mask = mask, .memory = memory};
        thread_unflushed = 0;
        watchdog_note_running();
        result = mixed_rounds(fds, &waiting);
        wait_unguard(&waiting);
        core_leave();
    }

    free(memory);
    return (int)finish_call(result, saved_errno);
}

EXPORT int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    if (likely(!core_possible() || !poll_has_ours(fds, count)))
    {
        return real_poll(fds, count, timeout);
    }

    return poll_mixed(fds, count, deadline_after(timeout < 0 ? -1 : timeout * MILLISECOND), NULL);
}

static int64_t timespec_deadline(const struct timespec *timeout)
{
    if (timeout == NULL || timeout->tv_sec > INT32_MAX)
    {
        return NEVER;
    }

    return deadline_after(timeout->tv_sec * 1000000000LL + timeout->tv_nsec);
}

static bool is_invalid(const struct timespec *timeout)
{
    return timeout != NULL && (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= 1000000000);
}

EXPORT int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    if (likely(!core_possible() || !poll_has_ours(fds, count)) || is_invalid(timeout))
    {
        return real_ppoll(fds, count, timeout, mask);
    }

    return poll_mixed(fds, count, timespec_deadline(timeout), mask);
}

extern int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room);
extern int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
                       size_t room);

EXPORT int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room)
{
    require_room(count, room / sizeof *fds);
    return poll(fds, count, timeout);
}

EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
                       size_t room)
{
    require_room(count, room / sizeof *fds);
    return ppoll(fds, count, timeout, mask);
}
