// SPDX-License-Identifier: Apache-2.0
// What each descriptor is, and the calls that make, copy and end descriptors.
#include "preload.h"

#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define MOST_DESCRIPTORS (1u << 20)

uint8_t *descriptor_classes;
unsigned descriptor_count;

void descriptor_table_open(void)
{
    struct rlimit limit;
    unsigned count = MOST_DESCRIPTORS;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < count)
    {
        count = (unsigned)limit.rlim_max;
    }

    // Untouched pages cost nothing, so the table has its final size from the start.
    void *table = mmap(NULL, MOST_DESCRIPTORS, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (table != MAP_FAILED)
    {
        descriptor_classes = table;
        descriptor_count = count;
    }
}

void descriptor_set_class(int fd, int class)
{
    if ((unsigned)fd < descriptor_count)
    {
        descriptor_classes[fd] = (uint8_t)class;
    }
}

// In a fork's child: everything is the kernel's from now on.
void descriptor_forget_all(void)
{
    if (descriptor_classes != NULL)
    {
        madvise(descriptor_classes, MOST_DESCRIPTORS, MADV_DONTNEED);
    }
}

// Takes a descriptor of ours from the core before its number is closed or overwritten.
static void forget(int fd)
{
    int class = descriptor_class(fd);
    if (class == PRONGHORN_SOCKET || class == PRONGHORN_EPOLL)
    {
        if (!core_enter())
        {
            descriptor_set_class(fd, PRONGHORN_NONE);
            return;
        }

        // Lingering (SO_LINGER) is the only reason to wait.
        int64_t limit = core.timeout(fd, 2);
        struct pollfd slots[WAIT_SLOTS];
        struct waiting waiting = {.deadline = deadline_after(limit < 0 ? 0 : limit), .fds = slots};
        while (core.close(fd, 0) == PRONGHORN_WAIT)
        {
            if (wait_round(&waiting) < 0)
            {
                core.close(fd, 1);
                break;
            }
        }

        descriptor_set_class(fd, PRONGHORN_NONE);
        core_leave();
        return;
    }

    descriptor_set_class(fd, PRONGHORN_NONE);
}

int descriptor_close(int fd)
{
    int saved_errno = errno;
    if (in_shared_memory_child())
    {
        return real_close(fd);
    }

    if (descriptor_class(fd) == PRONGHORN_PRIVATE)
    {
        // Daemons close every number they can think of; the core's own descriptors are not theirs.
        if (thread_depth != 0)
        {
            descriptor_set_class(fd, PRONGHORN_NONE);
            return real_close(fd);
        }

        errno = EBADF;
        return -1;
    }

    pthread_testcancel();
    forget(fd);
    errno = saved_errno;
    return real_close(fd);
}

static int note_copy(int fd, int copy)
{
    if (copy >= 0 && !in_shared_memory_child())
    {
        int class = descriptor_class(fd);
        // Two numbers for one candidate: the core counts them, so it must take the socket over now.
        if ((class == PRONGHORN_CANDIDATE && socket_adopt(fd)) || (class == PRONGHORN_LISTENING && socket_activate(fd)))
        {
            class = PRONGHORN_SOCKET;
        }

        if (class == PRONGHORN_SOCKET || class == PRONGHORN_EPOLL)
        {
            if (core_enter())
            {
                bool copied = core.duplicate(fd, copy) == 0;
                if (copied)
                {
                    descriptor_set_class(copy, class);
                }

                core_leave();
                if (copied && class == PRONGHORN_EPOLL)
                {
                    epoll_note_copy(fd, copy);
                }
            }
        }
        else if (class == PRONGHORN_EPOLL_KERNEL)
        {
            descriptor_set_class(copy, class);
            epoll_note_copy(fd, copy);
        }
        else if (class != PRONGHORN_PRIVATE)
        {
            descriptor_set_class(copy, PRONGHORN_NONE);
        }
    }

    return copy;
}

int descriptor_dup(int fd)
{
    return note_copy(fd, real_dup(fd));
}

static bool takes_number(int fd, int copy)
{
    if (fd != copy && !descriptor_is_kernel(copy) && !in_shared_memory_child())
    {
        if (descriptor_class(copy) == PRONGHORN_PRIVATE)
        {
            errno = EBUSY; // what dup2(2) answers for a number that is being opened
            return false;
        }

        if (real_fcntl(fd, F_GETFD, NULL) >= 0)
        {
            forget(copy);
        }
    }

    return true;
}

EXPORT int dup2(int fd, int copy)
{
    if (likely(descriptor_is_kernel(fd) && descriptor_is_kernel(copy)))
    {
        return real_dup2(fd, copy);
    }

    if (!takes_number(fd, copy))
    {
        return -1;
    }

    int result = real_dup2(fd, copy);
    return fd == copy ? result : note_copy(fd, result);
}

EXPORT int dup3(int fd, int copy, int flags)
{
    if (likely(descriptor_is_kernel(fd) && descriptor_is_kernel(copy)))
    {
        return real_dup3(fd, copy, flags);
    }

    if (fd != copy && !takes_number(fd, copy))
    {
        return -1;
    }

    return note_copy(fd, real_dup3(fd, copy, flags));
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
    if (last < first || flags != 0 || descriptor_classes == NULL)
    {
        return real_close_range(first, last, flags);
    }

    unsigned start = first;
    unsigned end = last < descriptor_count ? last + 1 : descriptor_count;
    for (unsigned fd = first; fd < end; fd++)
    {
        if (likely(descriptor_classes[fd] == PRONGHORN_NONE))
        {
            continue;
        }

        if (descriptor_classes[fd] == PRONGHORN_PRIVATE)
        {
            if (fd > start)
            {
                real_close_range(start, fd - 1, 0);
            }

            start = fd + 1;
        }
        else if (!in_shared_memory_child())
        {
            forget((int)fd);
        }
    }

    return start <= last ? real_close_range(start, last, 0) : 0;
}

EXPORT void closefrom(int first)
{
    close_range(first < 0 ? 0 : (unsigned)first, ~0u, 0);
}

static int control_socket(int fd, int command, void *argument)
{
    int saved_errno = errno;
    long result;
    if (!core_enter())
    {
        errno = EAGAIN;
        return -1;
    }

    result = command == F_GETFL ? core.get_flags(fd) : core.set_flags(fd, (int)(intptr_t)argument);
    core_leave();
    return (int)finish_call(result, saved_errno);
}

static int control(int fd, int command, void *argument)
{
    if (likely(descriptor_is_kernel(fd)))
    {
        return real_fcntl64(fd, command, argument);
    }

    switch (command)
    {
        case F_DUPFD:
        case F_DUPFD_CLOEXEC:
            return note_copy(fd, real_fcntl64(fd, command, argument));
        case F_GETFL:
        case F_SETFL:
            if (descriptor_is_socket(fd))
            {
                return control_socket(fd, command, argument);
            }

            break;
        default:
            break;
    }

    return real_fcntl64(fd, command, argument);
}

EXPORT int fcntl(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    return control(fd, command, argument);
}

EXPORT int fcntl64(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    return control(fd, command, argument);
}

EXPORT int ioctl(int fd, unsigned long request, ...)
{
    va_list list;
    va_start(list, request);
    void *argument = va_arg(list, void *);
    va_end(list);
    if (likely(!descriptor_is_socket(fd)) || argument == NULL)
    {
        return real_ioctl(fd, request, argument);
    }

    int saved_errno = errno;
    if (!core_enter())
    {
        errno = EAGAIN;
        return -1;
    }

    long result = core.ioctl(fd, request, argument);
    core_leave();
    return result == PRONGHORN_KERNEL ? real_ioctl(fd, request, argument)
                                      : (int)finish_call(result, saved_errno);
}
