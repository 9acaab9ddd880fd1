// SPDX-License-Identifier: Apache-2.0
// Waiting. The core never blocks: a call that has to wait comes here, spins on the device while packets flow, and
// then sleeps in the kernel on the device, the program's own descriptors and a wake-up together.
#include "preload.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

// Longer than a round trip on one machine, short enough that an idle program costs nothing.
#define DEFAULT_SPIN_MICROSECONDS 50
#define KERNEL_INTERVAL_NS 20000
#define MILLISECOND 1000000LL

static int64_t spin_ns = DEFAULT_SPIN_MICROSECONDS * 1000LL;
static __thread int thread_event __attribute__((tls_model("initial-exec"))) = -1;

void wait_configure(void)
{
    const char *value = getenv("PRONGHORN_SPIN_US");
    if (value != NULL && value[0] != '\0')
    {
        long microseconds = strtol(value, NULL, 10);
        spin_ns = microseconds >= 0 && microseconds <= 1000000 ? microseconds * 1000LL : spin_ns;
    }
}

int64_t wait_spin_time(void)
{
    return spin_ns;
}

int64_t wait_kernel_interval(void)
{
    return KERNEL_INTERVAL_NS;
}

static pthread_key_t event_key;
static pthread_once_t event_key_once = PTHREAD_ONCE_INIT;

// A thread ends: its eventfd goes with it.
static void close_event(void *value)
{
    int fd = (int)(intptr_t)value - 1;
    if (fd >= 0)
    {
        descriptor_set_class(fd, PRONGHORN_NONE);
        real_close(fd);
    }
}

static void make_event_key(void)
{
    pthread_key_create(&event_key, close_event);
}

static int remaining_ppoll(struct pollfd *fds, nfds_t count, int64_t until, const sigset_t *mask)
{
    struct timespec timeout;
    int64_t now = until == NEVER ? 0 : now_ns();
    int64_t left = until > now ? until - now : 0;
    timeout.tv_sec = left / 1000000000;
    timeout.tv_nsec = left % 1000000000;
    return real_ppoll(fds, count, until == NEVER ? NULL : &timeout, mask);
}

static void drain(int fd)
{
    uint64_t value;
    ssize_t ignored = real_read(fd, &value, sizeof value);
    (void)ignored;
}

// Which handler ran cannot be asked. If every handler of the program restarts calls, the one that ran does so, too; if
// one does not, the program is used to EINTR.
static bool handlers_restart(void)
{
    static const int runtimes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    for (int number = 1; number < SIGRTMAX; number++)
    {
        struct sigaction action;
        bool own = number == SIGRTMIN;
        for (size_t i = 0; i < sizeof runtimes / sizeof *runtimes; i++)
        {
            own |= number == runtimes[i];
        }

        if (!own && sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL
            && action.sa_handler != SIG_IGN && (action.sa_flags & SA_RESTART) == 0)
        {
            return false;
        }
    }

    return true;
}

// Enters the core again after a sleep.
static void come_back(void)
{
    while (!core_enter())
    {
    }

    wait_note_blocked(-1);
    core.poll_block(thread_event, -1);
}

// The thread is cancelled (pthread_cancel(3)) in its sleep: its eventfd is about to be closed and must not be written to.
static void cancelled(void *argument)
{
    struct waiting *waiting = argument;
    come_back();
    core_leave();
    free(waiting->memory);
    wait_unguard(waiting);
}

// Sleeps outside the core; enters and leaves with the lock held. 0, or -EINTR.
int wait_block(struct waiting *waiting, int64_t next_deadline)
{
    struct pollfd *slots = waiting->fds + waiting->count;
    int used = 0;
    if (thread_event < 0)
    {
        thread_event = kernel_calls.event_open();
        pthread_once(&event_key_once, make_event_key);
        pthread_setspecific(event_key, (void *)(intptr_t)(thread_event + 1));
    }

    for (int i = 0; i < 2; i++)
    {
        slots[used++] = (struct pollfd){.fd = core_wait_descriptors[i], .events = POLLIN};
    }

    slots[used++] = (struct pollfd){.fd = thread_event, .events = POLLIN};
    core.poll_block(thread_event, 1);
    count(PRONGHORN_COUNT_BLOCKED);
    wait_note_blocked(1);
    core_leave();
    int64_t until = waiting->deadline < next_deadline ? waiting->deadline : next_deadline;
    int ready;
    int failure;
    pthread_cleanup_push(cancelled, waiting);
    ready = remaining_ppoll(waiting->fds, waiting->count + (nfds_t)used, until, waiting->mask);
    failure = ready < 0 ? -errno : 0;
    pthread_cleanup_pop(0);
    come_back();
    waiting->kernel_ready = 0;
    if (failure != 0)
    {
        return failure;
    }

    for (nfds_t i = 0; ready > 0 && i < waiting->count; i++)
    {
        waiting->kernel_ready += waiting->fds[i].revents != 0;
    }

    if (slots[2].revents != 0)
    {
        drain(thread_event);
    }

    return 0;
}

// A handler that ran just before the sleep would go unnoticed, and the sleep last for ever: signals are held back and let
// in by the sleep itself. Not those of mistakes, nor the runtime's.
void wait_guard(struct waiting *waiting)
{
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGTRAP);
    sigdelset(&all, SIGRTMIN);
    waiting->guarded = pthread_sigmask(SIG_SETMASK, &all, &waiting->own_mask) == 0;
    if (waiting->guarded && waiting->mask == NULL)
    {
        waiting->mask = &waiting->own_mask;
    }
}

void wait_unguard(struct waiting *waiting)
{
    if (waiting->guarded)
    {
        pthread_sigmask(SIG_SETMASK, &waiting->own_mask, NULL);
    }
}

// A call that moves much data without ever sleeping lets signals in now and then.
static bool is_signalled(struct waiting *waiting)
{
    static const struct timespec none;
    return waiting->guarded && (++waiting->rounds & 15) == 0 && real_ppoll(NULL, 0, &none, waiting->mask) < 0;
}

static int look_at_kernel(struct waiting *waiting)
{
    static const struct timespec none;
    if (waiting->count > 0)
    {
        int ready = real_ppoll(waiting->fds, waiting->count, &none, waiting->mask);
        waiting->kernel_ready = ready > 0 ? ready : 0;
        return ready < 0 ? -errno : 0;
    }

    return 0;
}

static int one_round(struct waiting *waiting)
{
    struct pronghorn_round round;
    int64_t began = 0;
    int64_t kernel_looked = 0;
    bool counted = false;
    uint32_t dispatched = 0;
    waiting->kernel_ready = 0;
    watchdog_note_running();
    if (is_signalled(waiting))
    {
        return -EINTR;
    }

    for (;;)
    {
        core.poll(&round);
        if (!counted)
        {
            counted = true;
            dispatched = round.dispatched - (uint32_t)round.events;
        }

        // Another thread's round may have found what this one waits for.
        if (round.dispatched != dispatched)
        {
            return 0;
        }

        if (round.now >= waiting->deadline)
        {
            return -ETIMEDOUT;
        }

        if (began == 0 || round.received > 0)
        {
            began = round.now;
        }

        if (round.now - kernel_looked >= KERNEL_INTERVAL_NS)
        {
            kernel_looked = round.now;
            int failure = look_at_kernel(waiting);
            if (failure != 0 || waiting->kernel_ready > 0)
            {
                return failure;
            }
        }

        if (round.now - began >= spin_ns)
        {
            return wait_block(waiting, round.next_deadline);
        }

        // Others may have work in the core meanwhile.
        lock_release();
        pause_processor();
        lock_take();
    }
}

// Under the lock. Returns 0 when something happened and the call should be tried again, -ETIMEDOUT or -EINTR.
int wait_round(struct waiting *waiting)
{
    int failure = one_round(waiting);
    return failure == -EINTR && waiting->restarts && waiting->deadline == NEVER && handlers_restart() ? 0 : failure;
}
