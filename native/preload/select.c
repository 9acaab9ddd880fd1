// SPDX-License-Identifier: Apache-2.0
// select and pselect, by way of poll.
#include "preload.h"

#include <stdlib.h>
#include <string.h>

#define MOST 65536
#define READING (POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR)
#define WRITING (POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR)

// The sets may be longer than fd_set: programs allocate their own.
static bool has(const fd_set *set, int fd)
{
    const unsigned long *words = (const unsigned long *)(const void *)set;
    return set != NULL && (words[fd / 64] >> (fd % 64) & 1) != 0;
}

static void put(fd_set *set, int fd)
{
    unsigned long *words = (unsigned long *)(void *)set;
    words[fd / 64] |= 1ul << (fd % 64);
}

static void clear(fd_set *set, int count)
{
    if (set != NULL)
    {
        memset(set, 0, (size_t)(count + 63) / 64 * 8);
    }
}

static bool has_ours(int count, const fd_set *reading, const fd_set *writing, const fd_set *failing)
{
    bool ours = false;
    for (int fd = 0; fd < count; fd++)
    {
        int class = descriptor_class(fd);
        if (likely(class == PRONGHORN_NONE) || (!has(reading, fd) && !has(writing, fd) && !has(failing, fd)))
        {
            continue;
        }

        struct pollfd one = {.fd = fd};
        ours |= poll_has_ours(&one, 1);
    }

    return ours;
}

static int gather(struct pollfd *fds, int count, const fd_set *reading, const fd_set *writing, const fd_set *failing)
{
    int used = 0;
    for (int fd = 0; fd < count; fd++)
    {
        int events = (has(reading, fd) ? POLLIN : 0) | (has(writing, fd) ? POLLOUT : 0)
                     | (has(failing, fd) ? POLLPRI : 0);
        if (events != 0)
        {
            fds[used++] = (struct pollfd){.fd = fd, .events = (short)events};
        }
    }

    return used;
}

static int scatter(const struct pollfd *fds, int used, fd_set *reading, fd_set *writing, fd_set *failing)
{
    int bits = 0;
    for (int i = 0; i < used; i++)
    {
        const struct pollfd *one = &fds[i];
        if ((one->events & POLLIN) != 0 && (one->revents & READING) != 0)
        {
            put(reading, one->fd);
            bits++;
        }

        if ((one->events & POLLOUT) != 0 && (one->revents & WRITING) != 0)
        {
            put(writing, one->fd);
            bits++;
        }

        if ((one->events & POLLPRI) != 0 && (one->revents & POLLPRI) != 0)
        {
            put(failing, one->fd);
            bits++;
        }
    }

    return bits;
}

static int select_mixed(int count, fd_set *reading, fd_set *writing, fd_set *failing, int64_t deadline,
                        const sigset_t *mask)
{
    struct pollfd *fds = malloc(((size_t)count + 1) * sizeof *fds);
    if (fds == NULL)
    {
        errno = ENOMEM;
        return -1;
    }

    int used = gather(fds, count, reading, writing, failing);
    int result;
    pthread_cleanup_push(free, fds);
    result = poll_mixed(fds, (nfds_t)used, deadline, mask);
    pthread_cleanup_pop(0);
    for (int i = 0; result >= 0 && i < used; i++)
    {
        if ((fds[i].revents & POLLNVAL) != 0)
        {
            errno = EBADF;
            result = -1;
        }
    }

    if (result >= 0)
    {
        clear(reading, count);
        clear(writing, count);
        clear(failing, count);
        result = scatter(fds, used, reading, writing, failing);
    }

    free(fds);
    return result;
}

EXPORT int select(int count, fd_set *reading, fd_set *writing, fd_set *failing, struct timeval *timeout)
{
    if (likely(!core_running() && !core_possible()) || count < 0 || count > MOST
        || !has_ours(count, reading, writing, failing))
    {
        return real_select(count, reading, writing, failing, timeout);
    }

    int64_t deadline = NEVER;
    if (timeout != NULL)
    {
        if (timeout->tv_sec < 0 || timeout->tv_usec < 0)
        {
            errno = EINVAL;
            return -1;
        }

        deadline = timeout->tv_sec > INT32_MAX
                       ? NEVER
                       : deadline_after(timeout->tv_sec * 1000000000LL + timeout->tv_usec * 1000LL);
    }

    int result = select_mixed(count, reading, writing, failing, deadline, NULL);
    if (timeout != NULL && deadline != NEVER)
    {
        // Linux leaves the time that was not slept (select(2)).
        int64_t left = deadline - now_ns();
        left = left > 0 ? left / 1000 : 0;
        timeout->tv_sec = left / 1000000;
        timeout->tv_usec = left % 1000000;
    }

    return result;
}

EXPORT int pselect(int count, fd_set *reading, fd_set *writing, fd_set *failing, const struct timespec *timeout,
                   const sigset_t *mask)
{
    if (likely(!core_running() && !core_possible()) || count < 0 || count > MOST
        || !has_ours(count, reading, writing, failing))
    {
        return real_pselect(count, reading, writing, failing, timeout, mask);
    }

    int64_t deadline = NEVER;
    if (timeout != NULL && timeout->tv_sec <= INT32_MAX)
    {
        if (timeout->tv_sec < 0 || timeout->tv_nsec < 0)
        {
            errno = EINVAL;
            return -1;
        }

        deadline = deadline_after(timeout->tv_sec * 1000000000LL + timeout->tv_nsec);
    }

    return select_mixed(count, reading, writing, failing, deadline, mask);
}
