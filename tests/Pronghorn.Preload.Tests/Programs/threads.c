// SPDX-License-Identifier: Apache-2.0
// Several threads in the socket calls at once.
#include "conformance.h"

#include <stdatomic.h>

enum { CLIENTS = 8, BYTES = 200000 };

static void *echo_back(void *argument)
{
    int fd = *(int *)argument;
    uint8_t buffer[8192];
    size_t total = 0;
    while (total < BYTES)
    {
        ssize_t got = read(fd, buffer, sizeof buffer);
        CHECK(got > 0 && is_pattern(buffer, (size_t)got, total));
        write_exactly(fd, (size_t)got, total);
        total += (size_t)got;
    }

    EQUAL(close(fd), 0);
    return NULL;
}

CASE(thread_for_each_connection)
{
    pthread_t threads[CLIENTS];
    int fds[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
    {
        fds[i] = accepted(1 + i);
        EQUAL(pthread_create(&threads[i], NULL, echo_back, &fds[i]), 0);
    }

    for (int i = 0; i < CLIENTS; i++)
    {
        EQUAL(peer("send %d %d", 1 + i, BYTES), BYTES);
        EQUAL(peer("receive %d %d", 1 + i, BYTES), BYTES);
        EQUAL(peer("drain %d", 1 + i), 0);
        EQUAL(pthread_join(threads[i], NULL), 0);
    }
}

static void *write_much(void *argument)
{
    write_exactly(*(int *)argument, BYTES, 0);
    return NULL;
}

CASE(loop_in_one_thread_and_writers_in_others)
{
    pthread_t threads[CLIENTS];
    int fds[CLIENTS];
    size_t totals[1024] = {0};
    int epoll = epoll_create1(0);
    for (int i = 0; i < CLIENTS; i++)
    {
        fds[i] = accepted(1 + i);
        watch(epoll, fds[i], EPOLLIN);
        EQUAL(peer("send %d 1000", 1 + i), 1000);
        EQUAL(pthread_create(&threads[i], NULL, write_much, &fds[i]), 0);
    }

    for (size_t all = 0; all < CLIENTS * 1000;)
    {
        struct epoll_event events[8];
        int count = epoll_wait(epoll, events, 8, 5000);
        CHECK(count > 0);
        for (int i = 0; i < count; i++)
        {
            uint8_t buffer[300];
            int fd = events[i].data.fd;
            ssize_t got = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
            CHECK(got > 0 && is_pattern(buffer, (size_t)got, totals[fd]));
            totals[fd] += (size_t)got;
            all += (size_t)got;
        }
    }

    for (int i = 0; i < CLIENTS; i++)
    {
        EQUAL(peer("receive %d %d", 1 + i, BYTES), BYTES);
        EQUAL(pthread_join(threads[i], NULL), 0);
    }
}

static int shared_epoll;
static int shared_fd;

static void *close_later(void *unused)
{
    usleep(30000);
    EQUAL(close(shared_fd), 0);
    return unused;
}

CASE(socket_closed_by_another_thread_leaves_the_set)
{
    pthread_t thread;
    int other = accepted(2);
    shared_fd = accepted(1);
    shared_epoll = epoll_create1(0);
    watch(shared_epoll, shared_fd, EPOLLIN);
    watch(shared_epoll, other, EPOLLIN);
    EQUAL(pthread_create(&thread, NULL, close_later, NULL), 0);
    EQUAL(wait_one(shared_epoll, 100), 0);
    EQUAL(pthread_join(thread, NULL), 0);
    EQUAL(peer("drain 1"), 0);
    EQUAL(peer("send 2 1"), 1);
    EQUAL(wait_one(shared_epoll, 5000), EPOLLIN);
}

static void *add_later(void *unused)
{
    usleep(30000);
    watch(shared_epoll, shared_fd, EPOLLIN);
    return unused;
}

CASE(socket_added_by_another_thread_wakes_the_waiter)
{
    pthread_t thread;
    int other = accepted(2);
    shared_fd = accepted(1);
    shared_epoll = epoll_create1(0);
    watch(shared_epoll, other, EPOLLIN);
    EQUAL(peer("send 1 1"), 1);
    EQUAL(poll_one(shared_fd, POLLIN, 5000), POLLIN);
    EQUAL(pthread_create(&thread, NULL, add_later, NULL), 0);
    EQUAL(wait_one(shared_epoll, 5000), EPOLLIN);
    EQUAL(pthread_join(thread, NULL), 0);
}

CASE(first_socket_added_by_another_thread_wakes_the_waiter)
{
    pthread_t thread;
    shared_fd = accepted(1);
    shared_epoll = epoll_create1(0);
    EQUAL(peer("send 1 1"), 1);
    EQUAL(poll_one(shared_fd, POLLIN, 5000), POLLIN);
    EQUAL(pthread_create(&thread, NULL, add_later, NULL), 0);
    EQUAL(wait_one(shared_epoll, 5000), EPOLLIN);
    EQUAL(pthread_join(thread, NULL), 0);
}

static void *shut_later(void *unused)
{
    usleep(30000);
    EQUAL(shutdown(shared_fd, SHUT_RDWR), 0);
    return unused;
}

CASE(shutdown_by_another_thread_ends_a_blocked_receive)
{
    pthread_t thread;
    char byte;
    shared_fd = accepted(1);
    EQUAL(pthread_create(&thread, NULL, shut_later, NULL), 0);
    EQUAL(read(shared_fd, &byte, 1), 0);
    EQUAL(pthread_join(thread, NULL), 0);
}

CASE(shutdown_by_another_thread_ends_a_blocked_accept)
{
    pthread_t thread;
    shared_fd = listening(base_port + 3);
    EQUAL(poll_one(shared_fd, POLLIN, 0), 0);
    EQUAL(pthread_create(&thread, NULL, shut_later, NULL), 0);
    FAILS(accept(shared_fd, NULL, NULL), EINVAL);
    EQUAL(pthread_join(thread, NULL), 0);
}

static void *accept_one(void *unused)
{
    int fd = accept(shared_fd, NULL, NULL);
    CHECK(fd >= 0);
    expect_path(fd);
    write_exactly(fd, 100, 0);
    EQUAL(close(fd), 0);
    return unused;
}

CASE(several_threads_accept)
{
    pthread_t threads[4];
    shared_fd = listening(base_port);
    EQUAL(poll_one(shared_fd, POLLIN, 0), 0);
    for (int i = 0; i < 4; i++)
    {
        EQUAL(pthread_create(&threads[i], NULL, accept_one, NULL), 0);
    }

    for (int i = 0; i < 4; i++)
    {
        EQUAL(peer("connect %d %s %d", 1 + i, own_address, base_port), 0);
        EQUAL(peer("drain %d", 1 + i), 100);
    }

    for (int i = 0; i < 4; i++)
    {
        EQUAL(pthread_join(threads[i], NULL), 0);
    }
}

static void *wait_in_set(void *argument)
{
    size_t *count = argument;
    for (;;)
    {
        struct epoll_event event;
        char buffer[100];
        EQUAL(epoll_wait(shared_epoll, &event, 1, -1), 1);
        ssize_t got = recv(event.data.fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (got == 0)
        {
            return NULL;
        }

        CHECK(got > 0 || errno == EAGAIN);
        *count += got > 0 ? (size_t)got : 0;
    }
}

CASE(several_threads_wait_in_one_set)
{
    pthread_t threads[3];
    size_t counts[3] = {0};
    int fd = accepted(1);
    shared_epoll = epoll_create1(0);
    watch(shared_epoll, fd, EPOLLIN);
    for (int i = 0; i < 3; i++)
    {
        EQUAL(pthread_create(&threads[i], NULL, wait_in_set, &counts[i]), 0);
    }

    for (int i = 0; i < 50; i++)
    {
        EQUAL(peer("send 1 1000"), 1000);
    }

    EQUAL(peer("close 1"), 0);
    size_t total = 0;
    for (int i = 0; i < 3; i++)
    {
        EQUAL(pthread_join(threads[i], NULL), 0);
        total += counts[i];
    }

    EQUAL(total, 50000);
}

static void *compute(void *unused)
{
    struct timespec limit = {.tv_nsec = 300000000};
    nanosleep(&limit, NULL);
    return unused;
}

CASE(program_that_is_away_still_acknowledges)
{
    int fd = accepted(1);
    read_exactly(fd, 0, 0);
    EQUAL(peer("later 20 send 1 100000"), 0);
    compute(NULL);
    read_exactly(fd, 100000, 0);
    EQUAL(peer_result(), 100000);
}

static atomic_bool stack_started;

// Opens and closes all the time; every number is this thread's own.
static void *open_and_close(void *unused)
{
    long closed = 0;
    do
    {
        int fds[8];
        for (int i = 0; i < 8; i++)
        {
            fds[i] = i % 2 == 0 ? eventfd(0, 0) : socket(AF_UNIX, SOCK_STREAM, 0);
            CHECK(fds[i] >= 0);
        }

        for (int i = 0; i < 8; i++)
        {
            EQUAL(close(fds[i]), 0);
            closed++;
        }
    } while (!atomic_load(&stack_started));

    CHECK(closed > 0);
    return unused;
}

CASE(descriptors_of_other_threads_stay_theirs_while_the_stack_starts)
{
    pthread_t thread;
    EQUAL(pthread_create(&thread, NULL, open_and_close, NULL), 0);
    int fd = accepted(1);
    atomic_store(&stack_started, true);
    EQUAL(pthread_join(thread, NULL), 0);
    EQUAL(close(fd), 0);
}
