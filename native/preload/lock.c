// SPDX-License-Identifier: Apache-2.0
// One thread at a time is in the core: a futex lock whose uncontended path is one exchange.
#include "preload.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

enum
{
    FREE,
    HELD,
    CONTENDED,
};

__thread int thread_depth __attribute__((tls_model("initial-exec")));
__thread int thread_cancellation __attribute__((tls_model("initial-exec")));
__thread int thread_unflushed __attribute__((tls_model("initial-exec"))) = INT_MAX / 2;
atomic_llong counters[PRONGHORN_COUNTERS];
static atomic_int lock_word;

static void lock_wait(void)
{
    // A holder is out again within microseconds: look a few times before sleeping.
    for (int i = 0; i < 200; i++)
    {
        int expected = FREE;
        if (atomic_compare_exchange_weak_explicit(&lock_word, &expected, HELD, memory_order_acquire,
                                                  memory_order_relaxed))
        {
            return;
        }

        pause_processor();
    }

    while (atomic_exchange_explicit(&lock_word, CONTENDED, memory_order_acquire) != FREE)
    {
        syscall(SYS_futex, &lock_word, FUTEX_WAIT_PRIVATE, CONTENDED, NULL, NULL, 0);
    }
}

void count(enum pronghorn_counter counter)
{
    atomic_fetch_add_explicit(&counters[counter], 1, memory_order_relaxed);
}

void lock_take(void)
{
    int expected = FREE;
    if (likely(atomic_compare_exchange_strong_explicit(&lock_word, &expected, HELD, memory_order_acquire,
                                                       memory_order_relaxed)))
    {
        return;
    }

    int saved_errno = errno;
    lock_wait();
    errno = saved_errno;
    count(PRONGHORN_COUNT_CONTENDED);
}

void lock_release(void)
{
    if (unlikely(atomic_exchange_explicit(&lock_word, FREE, memory_order_release) == CONTENDED))
    {
        int saved_errno = errno;
        syscall(SYS_futex, &lock_word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
        errno = saved_errno;
    }
}

void lock_reset_in_child(void)
{
    atomic_store(&lock_word, FREE);
    thread_depth = 0;
}
