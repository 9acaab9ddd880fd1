// SPDX-License-Identifier: Apache-2.0
// fork: the parent keeps the stack, the child has none. A child sees its copies of our descriptors as unconnected
// kernel sockets; it may close them.
#include "preload.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

static pid_t owner;

static void before(void)
{
    core_hold_start();
    if (core_running())
    {
        lock_take();
    }
}

static void after_in_parent(void)
{
    if (core_running())
    {
        lock_release();
    }

    core_release_start();
}

static void after_in_child(void)
{
    owner = getpid();
    core_release_start();
    if (core_running())
    {
        core_disable();
        descriptor_forget_all();
        lock_reset_in_child();
        watchdog_forget_in_child();
        core_close_in_child();
    }
}

void fork_prepare_handlers(void)
{
    owner = getpid();
    pthread_atfork(before, after_in_parent, after_in_child);
}

// A vfork child shares our memory but not our descriptors: what it closes must not change our records.
bool in_shared_memory_child(void)
{
    return getpid() != owner;
}
