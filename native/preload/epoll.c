// SPDX-License-Identifier: Apache-2.0
// Epoll sets. A set without a socket of ours is the kernel's alone. One with sockets of ours keeps its kernel
// descriptors in the real set, which also holds the device and a wake-up while the program sleeps in it.
#include "preload.h"

#include <linux/kcmp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KERNEL_INTERVAL_NS 100000
#define MILLISECOND 1000000LL

// By the set's number: kernel descriptors in it, which may be too many (one closed without EPOLL_CTL_DEL), and whether
// it is a member of another set.
#define NESTED (1u << 31)
#define MANY (1u << 30)
static uint32_t *members;
static bool sets_were_copied;
static __thread int64_t looked_at_kernel __attribute__((tls_model("initial-exec")));
static __thread bool kernel_starved __attribute__((tls_model("initial-exec")));

static int note_set(int fd)
{
    if (fd < 0 || !core_possible())
    {
        return fd;
    }

    if (members == NULL)
    {
        size_t size = (size_t)descriptor_count * sizeof *members;
        void *made = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (made == MAP_FAILED)
        {
            return fd;
        }

        uint32_t *none = NULL;
        if (!__atomic_compare_exchange_n(&members, &none, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        {
            munmap(made, size);
        }
    }

    if ((unsigned)fd < descriptor_count)
    {
        members[fd] = 0;
        descriptor_set_class(fd, PRONGHORN_EPOLL_KERNEL);
    }

    return fd;
}

EXPORT int epoll_create(int size)
{
    return note_set(real_epoll_create(size));
}

EXPORT int epoll_create1(int flags)
{
    return note_set(real_epoll_create1(flags));
}

// A copy's number has a count of its own, so neither is right: always look.
void epoll_note_copy(int fd, int copy)
{
    sets_were_copied = true;
    members[fd] |= MANY;
    if ((unsigned)copy < descriptor_count)
    {
        // Beyond, where root may have raised RLIMIT_NOFILE to since, numbers are the kernel's.
        members[copy] = members[fd];
    }
}

// Under the lock: a set has become ours under one of its numbers; the others mean it, too.
static void take_over_copies(int epoll)
{
    pid_t self = getpid();
    for (unsigned fd = 0; sets_were_copied && fd < descriptor_count; fd++)
    {
        if (descriptor_classes[fd] == PRONGHORN_EPOLL_KERNEL
            && syscall(SYS_kcmp, self, self, KCMP_FILE, (unsigned long)epoll, (unsigned long)fd) == 0
            && core.duplicate(epoll, (int)fd) == 0)
        {
            descriptor_set_class((int)fd, PRONGHORN_EPOLL);
        }
    }
}

static bool is_set(int fd)
{
    int class = descriptor_class(fd);
    return class == PRONGHORN_EPOLL || class == PRONGHORN_EPOLL_KERNEL;
}

// What is ready in a set of ours must then show in its real set.
static void note_nested(int fd)
{
    members[fd] |= NESTED;
    if (descriptor_class(fd) == PRONGHORN_EPOLL && core_enter())
    {
        core.epoll_nested(fd);
        core_leave();
    }
}

// What the kernel watches for the program has to be looked at, also while sockets of ours are always ready.
void epoll_note_member(int epoll, int operation)
{
    if (members != NULL && (unsigned)epoll < descriptor_count && operation != EPOLL_CTL_MOD)
    {
        members[epoll] += operation == EPOLL_CTL_ADD ? 1u : (members[epoll] & ~NESTED) > 0 ? -1u : 0u;
    }
}

static int kernel_member(int epoll, int operation, int fd, struct epoll_event *event)
{
    int result = real_epoll_ctl(epoll, operation, fd, event);
    if (result == 0 && !descriptor_is_kernel(epoll))
    {
        epoll_note_member(epoll, operation);
    }

    if (unlikely(result == 0 && operation == EPOLL_CTL_ADD && is_set(fd)))
    {
        note_nested(fd);
    }

    return result;
}

EXPORT int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    int class = descriptor_class(fd);
    if (class == PRONGHORN_LISTENING)
    {
        socket_activate(fd);
    }
    else if (class == PRONGHORN_CANDIDATE)
    {
        socket_adopt(fd);
    }

    int set = descriptor_class(epoll);
    if (!descriptor_is_socket(fd) || (set != PRONGHORN_EPOLL_KERNEL && set != PRONGHORN_EPOLL))
    {
        return kernel_member(epoll, operation, fd, event);
    }

    int saved_errno = errno;
    if (!core_enter())
    {
        errno = EAGAIN;
        return -1;
    }

    long result = core.epoll_control(epoll, operation, fd, event);
    if (set == PRONGHORN_EPOLL_KERNEL && result >= 0)
    {
        take_over_copies(epoll);
        if ((members[epoll] & NESTED) != 0)
        {
            core.epoll_nested(epoll);
        }
    }

    core_leave();

    // 1: a listener is in the real set, too.
    return (int)finish_call(result > 0 ? 0 : result, saved_errno);
}

// Takes the core's own members out of what the real set reported.
static int without_internal(struct epoll_event *events, int count)
{
    int kept = 0;
    for (int i = 0; i < count; i++)
    {
        if (!is_internal(&events[i]))
        {
            if (kept != i)
            {
                events[kept] = events[i];
            }

            kept++;
        }
    }

    return kept;
}

static int sleep_in_kernel(int epoll, struct epoll_event *events, int count, int64_t until, const sigset_t *mask)
{
    int64_t now = until == NEVER ? 0 : now_ns();
    int64_t left = until > now ? until - now : 0;
    struct timespec timeout = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
    int ready = real_epoll_pwait2(epoll, events, count, until == NEVER ? NULL : &timeout, mask);
    if (ready < 0 && errno == ENOSYS)
    {
        int64_t milliseconds = (left + MILLISECOND - 1) / MILLISECOND;
        int limit = until == NEVER ? -1 : milliseconds > INT32_MAX ? INT32_MAX : (int)milliseconds;
        ready = real_epoll_pwait(epoll, events, count, limit, mask);
    }

    return ready < 0 ? -errno : ready;
}

// Enters the core again after a sleep.
static void come_back(int epoll)
{
    while (!core_enter())
    {
    }

    wait_note_blocked(-1);
    core.epoll_block(epoll, -1);
}

// The thread is cancelled (pthread_cancel(3)) in its sleep and will not come back.
static void cancelled(void *argument)
{
    come_back(*(const int *)argument);
    core_leave();
}

// Leaves the core, sleeps on everything at once, and comes back. Events of kernel descriptors, or -errno.
static int block(int epoll, struct epoll_event *events, int count_max, int64_t until, const sigset_t *mask)
{
    int ready;
    core.epoll_block(epoll, 1);
    count(PRONGHORN_COUNT_BLOCKED);
    wait_note_blocked(1);
    core_leave();
    pthread_cleanup_push(cancelled, &epoll);
    ready = sleep_in_kernel(epoll, events, count_max, until, mask);
    pthread_cleanup_pop(0);
    come_back(epoll);
    return ready < 0 ? ready : without_internal(events, ready);
}

// Kernel descriptors get a look at every interval, also while ours are always ready.
static int look_at_kernel(int epoll, struct epoll_event *events, int room, int64_t now, const sigset_t *mask)
{
    looked_at_kernel = now;
    int ready = mask == NULL ? real_epoll_wait(epoll, events, room, 0)
                             : real_epoll_pwait(epoll, events, room, 0, mask);
    return ready < 0 ? -errno : without_internal(events, ready);
}

static int wait_in_core(int epoll, struct epoll_event *events, int room, int64_t timeout, const sigset_t *mask)
{
    struct pronghorn_round round;
    int64_t deadline = -1;
    int64_t began = 0;
    int found = 0;
    bool looked = false;
    for (;;)
    {
        int own_room = kernel_starved && room - found > 1 ? room - found - (room - found) / 4 - 1 : room - found;
        int own = own_room > 0 ? core.epoll_wait(epoll, events + found, own_room, &round) : 0;
        if (own < 0)
        {
            return own;
        }

        found += own;
        // The signal that a nested set has something is taken back by looking.
        bool nested = (members[epoll] & NESTED) != 0 && !looked;
        bool due = nested || ((members[epoll] & ~NESTED) > 0 && round.now - looked_at_kernel >= KERNEL_INTERVAL_NS);
        kernel_starved = due && found == room;
        deadline = deadline >= 0 ? deadline : timeout < 0 || timeout > NEVER - round.now ? NEVER : round.now + timeout;
        if (found < room && (due || (mask != NULL && !looked)))
        {
            looked = true;
            int ready = look_at_kernel(epoll, events + found, room - found, round.now, mask);
            if (ready < 0 && found == 0)
            {
                return ready;
            }

            found += ready > 0 ? ready : 0;
        }

        if (found > 0 || round.now >= deadline)
        {
            return found;
        }

        began = began == 0 || round.received > 0 ? round.now : began;
        if (round.now - began >= wait_spin_time())
        {
            int64_t until = deadline < round.next_deadline ? deadline : round.next_deadline;
            int ready = block(epoll, events, room, until, mask);
            if (ready < 0)
            {
                return ready;
            }

            found = ready;
            began = 0;
            if (found == room)
            {
                return found;
            }

            continue;
        }

        lock_release();
        pause_processor();
        lock_take();
    }
}

static int wait_for_events(int epoll, struct epoll_event *events, int room, int64_t timeout, const sigset_t *mask)
{
    int saved_errno = errno;
    if (room <= 0 || events == NULL)
    {
        errno = events == NULL ? EFAULT : EINVAL;
        return -1;
    }

    pthread_testcancel();
    if (!core_enter())
    {
        errno = EINTR;
        return -1;
    }

    thread_unflushed = 0;
    watchdog_note_running();
    int result = 0;
    if (unlikely(kernel_starved && room == 1))
    {
        // Ours took the only place last time.
        kernel_starved = false;
        result = look_at_kernel(epoll, events, room, now_ns(), mask);
    }

    result = result != 0 ? result : wait_in_core(epoll, events, room, timeout, mask);
    core_leave();
    return (int)finish_call(result, saved_errno);
}

static bool is_ours(int epoll)
{
    return unlikely(descriptor_class(epoll) == PRONGHORN_EPOLL);
}

static int64_t milliseconds(int timeout)
{
    return timeout < 0 ? -1 : timeout * MILLISECOND;
}

// A set became ours while a thread slept in it as the kernel's: go on sleeping as is right for ours.
static int after_take_over(int epoll, struct epoll_event *events, int count, int ready, int64_t timeout,
                           const sigset_t *mask)
{
    int kept = ready > 0 ? without_internal(events, ready) : ready;
    return kept != 0 || ready == 0 ? kept : wait_for_events(epoll, events, count, timeout, mask);
}

EXPORT int epoll_wait(int epoll, struct epoll_event *events, int count, int timeout)
{
    if (is_ours(epoll))
    {
        return wait_for_events(epoll, events, count, milliseconds(timeout), NULL);
    }

    int ready = real_epoll_wait(epoll, events, count, timeout);
    return is_ours(epoll) ? after_take_over(epoll, events, count, ready, milliseconds(timeout), NULL) : ready;
}

EXPORT int epoll_pwait(int epoll, struct epoll_event *events, int count, int timeout, const sigset_t *mask)
{
    if (is_ours(epoll))
    {
        return wait_for_events(epoll, events, count, milliseconds(timeout), mask);
    }

    int ready = real_epoll_pwait(epoll, events, count, timeout, mask);
    return is_ours(epoll) ? after_take_over(epoll, events, count, ready, milliseconds(timeout), mask) : ready;
}

EXPORT int epoll_pwait2(int epoll, struct epoll_event *events, int count, const struct timespec *timeout,
                        const sigset_t *mask)
{
    if (!is_ours(epoll))
    {
        int ready = real_epoll_pwait2(epoll, events, count, timeout, mask);
        int64_t all = timeout == NULL ? -1 : timeout->tv_sec * 1000000000LL + timeout->tv_nsec;
        return is_ours(epoll) ? after_take_over(epoll, events, count, ready, all, mask) : ready;
    }

    int64_t limit = -1;
    if (timeout != NULL)
    {
        if (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= 1000000000)
        {
            errno = EINVAL;
            return -1;
        }

        limit = timeout->tv_sec > INT32_MAX ? NEVER / 2 : timeout->tv_sec * 1000000000LL + timeout->tv_nsec;
    }

    return wait_for_events(epoll, events, count, limit, mask);
}
