// SPDX-License-Identifier: Apache-2.0
// While the program computes, or sleeps somewhere else, nobody polls the device. This thread then does: late rather
// than never. It sleeps without waking while the program itself waits in the core.
#include "preload.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TICK_NS 5000000LL
#define TICK_AMONG_THREADS_NS 100000000LL

static atomic_int blocked;     // threads that sleep in the core's wait
static atomic_int wake_word;   // changes when the watchdog should look again
static atomic_bool parked;
static atomic_uint entries;    // waits begun: a sign of life
static atomic_bool several_threads;
static void *_Atomic first_thread;
static bool started;
__thread bool thread_known __attribute__((tls_model("initial-exec")));
static __thread bool watchdog_thread __attribute__((tls_model("initial-exec")));

static void sleep_until_woken(int seen, int64_t duration)
{
    struct timespec timeout = {.tv_sec = duration / 1000000000, .tv_nsec = duration % 1000000000};
    syscall(SYS_futex, &wake_word, FUTEX_WAIT_PRIVATE, seen, duration == NEVER ? NULL : &timeout, NULL, 0);
}

static void wake(void)
{
    if (unlikely(atomic_load_explicit(&parked, memory_order_relaxed)) && atomic_exchange(&parked, false))
    {
        atomic_fetch_add(&wake_word, 1);
        syscall(SYS_futex, &wake_word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

// A thread's first call. Where several use sockets, one may sleep for long while another's segment is lost: the
// watchdog then looks now and then also while threads sleep.
void watchdog_note_thread(void)
{
    void *self = &thread_depth;
    void *none = NULL;
    thread_known = true;
    if (!watchdog_thread && !atomic_compare_exchange_strong(&first_thread, &none, self) && none != self
        && !atomic_exchange(&several_threads, true))
    {
        wake();
    }
}

void wait_note_blocked(int change)
{
    if (atomic_fetch_add(&blocked, change) + change == 0)
    {
        wake();
    }
}

int wait_blocked_count(void)
{
    return atomic_load(&blocked);
}

void watchdog_note_running(void)
{
    atomic_store_explicit(&entries, atomic_load_explicit(&entries, memory_order_relaxed) + 1, memory_order_relaxed);
}

// The program is away: serve the device until it comes back.
static void stand_in(unsigned seen)
{
    while (atomic_load(&entries) == seen && atomic_load(&blocked) == 0 && core_running())
    {
        struct pronghorn_round round;
        if (!core_enter())
        {
            return;
        }

        core.poll(&round);
        core_leave();
        if (round.received > 0)
        {
            count(PRONGHORN_COUNT_WATCHDOG);
        }

        struct pollfd fds[2];
        for (int i = 0; i < 2; i++)
        {
            fds[i] = (struct pollfd){.fd = core_wait_descriptors[i], .events = POLLIN};
        }

        int64_t left = round.next_deadline == NEVER ? NEVER : round.next_deadline - round.now;
        left = left < 0 ? 0 : left > 1000000000 ? 1000000000 : left;
        struct timespec timeout = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        real_ppoll(fds, 2, &timeout, NULL);

        // Not at every packet: a program that merely computes for a while gets its packets in batches.
        struct timespec pause = {.tv_nsec = TICK_NS / 5};
        nanosleep(&pause, NULL);
    }
}

static void *run(void *unused)
{
    (void)unused;
    watchdog_thread = true;
    unsigned last = 0;
    for (;;)
    {
        int seen = atomic_load(&wake_word);
        if (atomic_load(&blocked) > 0)
        {
            atomic_store(&parked, true);
            if (atomic_load(&blocked) > 0)
            {
                sleep_until_woken(seen, atomic_load(&several_threads) ? TICK_AMONG_THREADS_NS : NEVER);
            }

            atomic_store(&parked, false);
            if (atomic_load(&blocked) > 0 && core_enter())
            {
                struct pronghorn_round round;
                core.poll(&round);
                core_leave();
            }

            last = atomic_load(&entries);
            continue;
        }

        sleep_until_woken(seen, TICK_NS);
        unsigned now = atomic_load(&entries);
        if (now == last && atomic_load(&blocked) == 0)
        {
            stand_in(now);
        }

        last = now;
    }

    return NULL;
}

void watchdog_start(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    if (started || pthread_attr_init(&attributes) != 0)
    {
        return;
    }

    // Every signal is blocked here: start_quietly did that.
    pthread_attr_setstacksize(&attributes, 256 << 10);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    started = pthread_create(&thread, &attributes, run, NULL) == 0;
    pthread_attr_destroy(&attributes);
}

void watchdog_forget_in_child(void)
{
    started = false;
    atomic_store(&blocked, 0);
    atomic_store(&parked, false);
}
