// SPDX-License-Identifier: Apache-2.0
// What must not happen in steady state. The one file that knows of Pronghorn: it asks the preloaded library.
#include "conformance.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <sys/syscall.h>

static void serve_requests(int epoll, int fd, long count)
{
    uint8_t buffer[256];
    for (long done = 0; done < count;)
    {
        EQUAL(wait_one(epoll, 10000), EPOLLIN);
        ssize_t got = read(fd, buffer, sizeof buffer);
        CHECK(got > 0);
        EQUAL(write(fd, buffer, (size_t)got), got);
        done += got;
    }
}

CASE(steady_state_allocates_nothing)
{
    enum { WARM = 2000, REQUESTS = 100000 };
    long (*allocated)(void);
    *(void **)&allocated = dlsym(RTLD_DEFAULT, "pronghorn_debug_allocated_bytes");
    EQUAL(allocated != NULL, on_stack);
    int fd = accepted(1);
    int epoll = epoll_create1(0);
    set_nonblocking(fd);
    watch(epoll, fd, EPOLLIN);
    EQUAL(peer("later 0 requests 1 %d", WARM), 0);
    serve_requests(epoll, fd, WARM);
    EQUAL(peer_result(), WARM);
    long before = on_stack ? allocated() : 0;
    int requests = on_stack ? REQUESTS : WARM;
    EQUAL(peer("later 0 requests 1 %d", requests), 0);
    serve_requests(epoll, fd, requests);
    EQUAL(peer_result(), requests);
    // Connections that come and go, too.
    for (int i = 0; i < 200; i++)
    {
        int other = accepted(2);
        watch(epoll, other, EPOLLIN);
        write_exactly(other, 100, 0);
        EQUAL(peer("receive 2 100"), 100);
        EQUAL(close(other), 0);
        EQUAL(peer("drain 2"), 0);
        EQUAL(peer("close 2"), 0);
        other = connected(3);
        write_exactly(other, 100, 0);
        EQUAL(peer("receive 3 100"), 100);
        EQUAL(close(other), 0);
        EQUAL(peer("drain 3"), 0);
        EQUAL(peer("close 3"), 0);
    }

    EQUAL(on_stack ? allocated() - before : 0, 0);
}

static atomic_int sleeper; // its thread id
static int cancelled_fd;

static void *sleep_in_read(void *unused)
{
    char byte;
    atomic_store(&sleeper, (int)syscall(SYS_gettid));
    read(cancelled_fd, &byte, 1);
    return unused;
}

static void *sleep_in_poll(void *unused)
{
    struct pollfd *many = calloc(300, sizeof *many);
    for (int i = 0; i < 300; i++)
    {
        many[i] = (struct pollfd){.fd = i == 0 ? cancelled_fd : -1, .events = POLLIN};
    }

    atomic_store(&sleeper, (int)syscall(SYS_gettid));
    poll(many, 300, -1);
    return unused;
}

static void *sleep_in_set(void *unused)
{
    int epoll = epoll_create1(0);
    struct epoll_event event;
    watch(epoll, cancelled_fd, EPOLLIN);
    atomic_store(&sleeper, (int)syscall(SYS_gettid));
    epoll_wait(epoll, &event, 1, -1);
    return unused;
}

static void *sleep_in_accept(void *unused)
{
    int listener = listening(base_port + 2);
    atomic_store(&sleeper, (int)syscall(SYS_gettid));
    accept(listener, NULL, NULL);
    return unused;
}

static bool is_asleep(int thread)
{
    char path[64];
    char text[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
    int file = open(path, O_RDONLY);
    CHECK(file >= 0);
    ssize_t length = read(file, text, sizeof text - 1);
    CHECK(length > 0);
    EQUAL(close(file), 0);
    text[length] = '\0';
    return strstr(text, ") S ") != NULL;
}

// The eventfd of the thread's sleep is closed with it. Whoever gets the number must not find anything in it.
static void expect_no_trace(void)
{
    enum { FILES = 16 };
    int files[FILES];
    char bytes[10];
    long (*sleepers)(void);
    *(void **)&sleepers = dlsym(RTLD_DEFAULT, "pronghorn_debug_sleepers");
    EQUAL(sleepers != NULL, on_stack);
    EQUAL(on_stack ? sleepers() : 0, 0);
    for (int i = 0; i < FILES; i++)
    {
        files[i] = eventfd(0, 0);
        CHECK(files[i] >= 0);
    }

    EQUAL(peer("send 1 10"), 10);
    EQUAL(poll_one(cancelled_fd, POLLIN, 5000), POLLIN);
    EQUAL(recv(cancelled_fd, bytes, sizeof bytes, MSG_WAITALL), sizeof bytes);
    for (int i = 0; i < FILES; i++)
    {
        EQUAL(poll_one(files[i], POLLIN, 0), 0);
        EQUAL(close(files[i]), 0);
    }
}

CASE(cancelled_threads_leave_no_trace)
{
    void *(*const ways[])(void *) = {sleep_in_read, sleep_in_poll, sleep_in_set, sleep_in_accept};
    cancelled_fd = accepted(1);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
    {
        pthread_t thread;
        void *result;
        atomic_store(&sleeper, 0);
        EQUAL(pthread_create(&thread, NULL, ways[i], NULL), 0);
        while (atomic_load(&sleeper) == 0 || !is_asleep(atomic_load(&sleeper)))
        {
            sched_yield();
        }

        EQUAL(pthread_cancel(thread), 0);
        EQUAL(pthread_join(thread, &result), 0);
        CHECK(result == PTHREAD_CANCELED);
        expect_no_trace();
    }
}

static atomic_int writes;

static void *send_until_cancelled(void *unused)
{
    char bytes[100] = {0};
    atomic_store(&sleeper, (int)syscall(SYS_gettid));
    while (write(cancelled_fd, bytes, sizeof bytes) > 0)
    {
        atomic_fetch_add(&writes, 1);
    }

    return unused;
}

CASE(thread_cancelled_while_it_sends_leaves_the_lock)
{
    cancelled_fd = accepted(1);
    for (int i = 0; i < 20; i++)
    {
        pthread_t thread;
        void *result;
        atomic_store(&sleeper, 0);
        atomic_store(&writes, 0);
        EQUAL(pthread_create(&thread, NULL, send_until_cancelled, NULL), 0);
        while (atomic_load(&sleeper) == 0 || (atomic_load(&writes) < 20 && !is_asleep(atomic_load(&sleeper))))
        {
            sched_yield();
        }

        EQUAL(pthread_cancel(thread), 0);
        EQUAL(pthread_join(thread, &result), 0);
        CHECK(result == PTHREAD_CANCELED);
        // The buffers may be full by now; what counts is that the call comes back.
        CHECK(send(cancelled_fd, "x", 1, MSG_DONTWAIT) == 1 || errno == EAGAIN);
    }
}
