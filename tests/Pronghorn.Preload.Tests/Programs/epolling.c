// SPDX-License-Identifier: Apache-2.0
// epoll(7).
#include "conformance.h"

static int control(int epoll, int operation, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    return epoll_ctl(epoll, operation, fd, &event);
}

CASE(level_triggered_reports_until_it_is_read)
{
    int fd = accepted(1);
    int epoll = epoll_create1(0);
    watch(epoll, fd, EPOLLIN);
    EQUAL(wait_one(epoll, 0), 0);
    EQUAL(peer("send 1 100"), 100);
    EQUAL(wait_one(epoll, 5000), EPOLLIN);
    EQUAL(wait_one(epoll, 0), EPOLLIN);
    read_exactly(fd, 50, 0);
    EQUAL(wait_one(epoll, 0), EPOLLIN);
    read_exactly(fd, 50, 50);
    EQUAL(wait_one(epoll, 0), 0);
}

CASE(edge_triggered_reports_once_for_each_arrival)
{
    int fd = accepted(1);
    int epoll = epoll_create1(0);
    watch(epoll, fd, EPOLLIN | EPOLLET);
    EQUAL(peer("send 1 100"), 100);
    EQUAL(wait_one(epoll, 5000), EPOLLIN);
    EQUAL(wait_one(epoll, 0), 0);
    EQUAL(peer("send 1 100"), 100);
    EQUAL(wait_one(epoll, 5000), EPOLLIN);
    read_exactly(fd, 150, 0);
    EQUAL(wait_one(epoll, 0), 0);
    EQUAL(control(epoll, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLET), 0);
    EQUAL(wait_one(epoll, 0), EPOLLIN);
    EQUAL(wait_one(epoll, 0), 0);
    EQUAL(peer("close 1"), 0);
    EQUAL(wait_one(epoll, 5000), EPOLLIN);
}

CASE(edge_triggered_output_reports_regained_room)
{
    static uint8_t buffer[1 << 16];
    int fd = accepted(1);
    int epoll = epoll_create1(0);
    size_t total = 0;
    ssize_t sent;
    set_nonblocking(fd);
    watch(epoll, fd, EPOLLOUT | EPOLLET);
    EQUAL(wait_one(epoll, 0), EPOLLOUT);
    EQUAL(wait_one(epoll, 0), 0);
    do
    {
        fill_pattern(buffer, sizeof buffer, total);
        sent = write(fd, buffer, sizeof buffer);
        total += sent > 0 ? (size_t)sent : 0;
    } while (sent > 0);
    EQUAL(peer("receive 1 %zu", total), total);
    EQUAL(wait_one(epoll, 5000), EPOLLOUT);
}

CASE(one_shot_is_armed_again_by_a_change)
{
    int fd = accepted(1);
    int epoll = epoll_create1(0);
    watch(epoll, fd, EPOLLIN | EPOLLONESHOT);
    EQUAL(peer("send 1 10"), 10);
    EQUAL(wait_one(epoll, 5000), EPOLLIN);
    EQUAL(wait_one(epoll, 0), 0);
    EQUAL(peer("send 1 10"), 10);
    EQUAL(poll_one(fd, POLLIN, 5000), POLLIN);
    EQUAL(wait_one(epoll, 0), 0);
    EQUAL(control(epoll, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT), 0);
    EQUAL(wait_one(epoll, 0), EPOLLIN);
    EQUAL(wait_one(epoll, 0), 0);
    EQUAL(peer("reset 1"), 0);
    EQUAL(poll_one(fd, 0, 5000), POLLERR | POLLHUP);
    EQUAL(wait_one(epoll, 0), 0);
}

CASE(control_tells_errors)
{
    int fd = accepted(1);
    int epoll = epoll_create1(0);
    FAILS(control(epoll, EPOLL_CTL_MOD, fd, EPOLLIN), ENOENT);
    FAILS(control(epoll, EPOLL_CTL_DEL, fd, 0), ENOENT);
    EQUAL(control(epoll, EPOLL_CTL_ADD, fd, EPOLLIN), 0);
    FAILS(control(epoll, EPOLL_CTL_ADD, fd, EPOLLIN), EEXIST);
    EQUAL(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL), 0);
    FAILS(control(epoll, EPOLL_CTL_DEL, fd, 0), ENOENT);
    EQUAL(control(epoll, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLEXCLUSIVE), 0);
    FAILS(control(epoll, EPOLL_CTL_MOD, fd, EPOLLIN), EINVAL);
    EQUAL(peer("send 1 10"), 10);
    EQUAL(wait_one(epoll, 5000), EPOLLIN);
    EQUAL(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL), 0);
    FAILS(control(epoll, 77, fd, EPOLLIN), EINVAL);
    FAILS(control(fd, EPOLL_CTL_ADD, epoll, EPOLLIN), EINVAL);
    FAILS(control(epoll, EPOLL_CTL_ADD, 900, EPOLLIN), EBADF);
    FAILS(control(epoll, EPOLL_CTL_ADD, epoll, EPOLLIN), EINVAL);
    struct epoll_event event;
    FAILS(epoll_wait(epoll, &event, 0, 0), EINVAL);
    FAILS(epoll_wait(epoll, &event, -1, 0), EINVAL);
    FAILS(epoll_wait(fd, &event, 1, 0), EINVAL);
    FAILS(epoll_wait(900, &event, 1, 0), EBADF);
}

CASE(ends_are_reported_unasked)
{
    int fd = accepted(1);
    int epoll = epoll_create1(0);
    watch(epoll, fd, 0);
    EQUAL(peer("reset 1"), 0);
    EQUAL(wait_one(epoll, 5000), EPOLLERR | EPOLLHUP);
    int second = accepted(2);
    epoll = epoll_create1(0);
    watch(epoll, second, EPOLLIN | EPOLLRDHUP);
    EQUAL(peer("shutdown 2 1"), 0);
    EQUAL(wait_one(epoll, 5000), EPOLLIN | EPOLLRDHUP);
    EQUAL(shutdown(second, SHUT_WR), 0);
    EQUAL(wait_one(epoll, 5000), EPOLLIN | EPOLLRDHUP | EPOLLHUP);
}

CASE(several_sets_see_the_same_socket)
{
    int fd = accepted(1);
    int first = epoll_create1(0);
    int second = epoll_create1(0);
    watch(first, fd, EPOLLIN);
    watch(second, fd, EPOLLIN | EPOLLET);
    EQUAL(peer("send 1 10"), 10);
    EQUAL(wait_one(first, 5000), EPOLLIN);
    EQUAL(wait_one(second, 5000), EPOLLIN);
    EQUAL(wait_one(first, 0), EPOLLIN);
    EQUAL(wait_one(second, 0), 0);
    EQUAL(close(first), 0);
    EQUAL(peer("send 1 10"), 10);
    EQUAL(wait_one(second, 5000), EPOLLIN);
}

// A packet that is no news for the program may wake it for nothing, but not for ever.
static void expect_quiet(int outer, int inner)
{
    int spurious = 0;
    while (wait_one(outer, 0) != 0 || poll_one(inner, POLLIN, 0) != 0)
    {
        EQUAL(wait_one(inner, 0), 0);
        CHECK(++spurious < 10);
    }
}

CASE(nested_sets_are_readable)
{
    int fd = accepted(1);
    int inner = epoll_create1(0);
    int outer = epoll_create1(0);
    watch(outer, inner, EPOLLIN);
    watch(inner, fd, EPOLLIN);
    expect_quiet(outer, inner);
    EQUAL(peer("later 30 send 1 10"), 0);
    EQUAL(wait_one(outer, 5000), EPOLLIN);
    EQUAL(peer_result(), 10);
    EQUAL(poll_one(inner, POLLIN, 5000), POLLIN);
    EQUAL(wait_one(inner, 0), EPOLLIN);
    read_exactly(fd, 10, 0);
    expect_quiet(outer, inner);
    EQUAL(peer("send 1 10"), 10);
    EQUAL(wait_one(outer, 5000), EPOLLIN);
}

CASE(set_mixes_all_kinds)
{
    int pipes[2];
    int pair[2];
    int fd = accepted(1);
    int epoll = epoll_create1(0);
    int event = eventfd(0, EFD_NONBLOCK);
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    uint64_t one = 1;
    EQUAL(pipe(pipes), 0);
    EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    watch(epoll, fd, EPOLLIN);
    watch(epoll, pipes[0], EPOLLIN);
    watch(epoll, pair[0], EPOLLIN);
    watch(epoll, event, EPOLLIN);
    watch(epoll, timer, EPOLLIN);
    int file = open("/proc/self/exe", O_RDONLY);
    FAILS(control(epoll, EPOLL_CTL_ADD, file, EPOLLIN), EPERM);
    EQUAL(wait_one(epoll, 0), 0);
    struct itimerspec when = {.it_value = {.tv_nsec = 20000000}};
    EQUAL(timerfd_settime(timer, 0, &when, NULL), 0);
    EQUAL(wait_one(epoll, 5000), EPOLLIN);
    EQUAL(write(pipes[1], &one, 1), 1);
    EQUAL(write(pair[1], &one, 1), 1);
    EQUAL(write(event, &one, 8), 8);
    EQUAL(peer("send 1 10"), 10);
    EQUAL(poll_one(fd, POLLIN, 5000), POLLIN);
    bool seen[1024] = {false};
    int found = 0;
    for (int round = 0; found < 5; round++)
    {
        struct epoll_event events[16];
        int count = epoll_wait(epoll, events, 16, 5000);
        CHECK(count > 0 && round < 100);
        for (int i = 0; i < count; i++)
        {
            EQUAL(events[i].events, EPOLLIN);
            found += !seen[events[i].data.fd];
            seen[events[i].data.fd] = true;
        }
    }

    CHECK(seen[fd] && seen[pipes[0]] && seen[pair[0]] && seen[event] && seen[timer]);
}

CASE(kernel_descriptors_are_not_starved)
{
    int pipes[2];
    struct epoll_event events[1];
    int fd = accepted(1);
    int epoll = epoll_create1(0);
    EQUAL(pipe(pipes), 0);
    watch(epoll, fd, EPOLLIN);
    watch(epoll, pipes[0], EPOLLIN);
    EQUAL(write(pipes[1], "x", 1), 1);
    EQUAL(peer("send 1 10"), 10);
    EQUAL(poll_one(fd, POLLIN, 5000), POLLIN);
    bool ours = false;
    bool kernels = false;
    for (long round = 0; !ours || !kernels; round++)
    {
        EQUAL(epoll_wait(epoll, events, 1, 5000), 1);
        ours |= events[0].data.fd == fd;
        kernels |= events[0].data.fd == pipes[0];
        CHECK(round < 1000000);
    }
}

CASE(short_room_starves_nobody)
{
    int fds[6];
    bool seen[1024] = {false};
    int epoll = epoll_create1(0);
    for (int i = 0; i < 6; i++)
    {
        fds[i] = accepted(1 + i);
        watch(epoll, fds[i], EPOLLIN);
        EQUAL(peer("send %d 10", 1 + i), 10);
        EQUAL(poll_one(fds[i], POLLIN, 5000), POLLIN);
    }

    for (int round = 0; round < 6; round++)
    {
        struct epoll_event events[2];
        int count = epoll_wait(epoll, events, 2, 5000);
        CHECK(count > 0);
        for (int i = 0; i < count; i++)
        {
            seen[events[i].data.fd] = true;
        }
    }

    for (int i = 0; i < 6; i++)
    {
        CHECK(seen[fds[i]]);
    }
}

CASE(closed_sockets_leave_their_sets)
{
    int fd = accepted(1);
    int epoll = epoll_create1(0);
    watch(epoll, fd, EPOLLIN | EPOLLOUT);
    int copy = dup(fd);
    EQUAL(wait_one(epoll, 0), EPOLLOUT);
    EQUAL(close(fd), 0);
    // The description is still open by its copy.
    EQUAL(wait_one(epoll, 0), EPOLLOUT);
    EQUAL(close(copy), 0);
    EQUAL(wait_one(epoll, 0), 0);
    int next = accepted(2);
    EQUAL(next, fd);
    EQUAL(control(epoll, EPOLL_CTL_ADD, next, EPOLLIN), 0);
    EQUAL(wait_one(epoll, 0), 0);
}

CASE(socket_is_watched_before_it_connects)
{
    struct sockaddr_in to = address_of(peer_address, base_port + 1);
    int epoll = epoll_create1(0);
    EQUAL(peer("listen 15 %d 16", base_port + 1), 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    watch(epoll, fd, EPOLLIN | EPOLLOUT);
    EQUAL(wait_one(epoll, 0), EPOLLOUT | EPOLLHUP);
    FAILS(connect(fd, (struct sockaddr *)&to, sizeof to), EINPROGRESS);
    EQUAL(wait_one(epoll, 5000), EPOLLOUT);
    expect_path(fd);
    EQUAL(peer("accept 15 1"), 0);
    EQUAL(peer("send 1 10"), 10);
    EQUAL(control(epoll, EPOLL_CTL_MOD, fd, EPOLLIN), 0);
    EQUAL(wait_one(epoll, 5000), EPOLLIN);
}

CASE(refused_connect_is_reported)
{
    struct sockaddr_in to = address_of(peer_address, base_port + 2);
    int epoll = epoll_create1(0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    FAILS(connect(fd, (struct sockaddr *)&to, sizeof to), EINPROGRESS);
    watch(epoll, fd, EPOLLOUT);
    EQUAL(wait_one(epoll, 5000), EPOLLOUT | EPOLLERR | EPOLLHUP);
    EQUAL(option(fd, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
}

CASE(listener_is_watched_by_edge)
{
    int listener = listening(base_port);
    int epoll = epoll_create1(0);
    set_nonblocking(listener);
    watch(epoll, listener, EPOLLIN | EPOLLET);
    EQUAL(wait_one(epoll, 0), 0);
    EQUAL(peer("connect 1 %s %d", own_address, base_port), 0);
    EQUAL(wait_one(epoll, 5000), EPOLLIN);
    EQUAL(wait_one(epoll, 0), 0);
    EQUAL(peer("connect 2 %s %d", own_address, base_port), 0);
    EQUAL(wait_one(epoll, 5000), EPOLLIN);
    CHECK(accept(listener, NULL, NULL) >= 0);
    CHECK(accept(listener, NULL, NULL) >= 0);
    FAILS(accept(listener, NULL, NULL), EAGAIN);
}

CASE(copied_set_is_the_same_set)
{
    int fd = accepted(1);
    int epoll = epoll_create1(0);
    int copy = dup(epoll);
    watch(epoll, fd, EPOLLIN);
    EQUAL(peer("send 1 10"), 10);
    EQUAL(wait_one(copy, 5000), EPOLLIN);
    EQUAL(close(epoll), 0);
    EQUAL(wait_one(copy, 0), EPOLLIN);
    EQUAL(epoll_ctl(copy, EPOLL_CTL_DEL, fd, NULL), 0);
    EQUAL(wait_one(copy, 0), 0);
}

// A set in which a connection is always ready: the others must come up all the same.
static void expect_among_ready(int epoll, int fd)
{
    for (int i = 0; i < 200000; i++)
    {
        struct epoll_event events[8];
        int count = epoll_wait(epoll, events, 8, 1000);
        CHECK(count > 0);
        for (int j = 0; j < count; j++)
        {
            if (events[j].data.fd == fd)
            {
                return;
            }
        }
    }

    fail(__FILE__, __LINE__, "the descriptor was never reported", fd, 0);
}

CASE(socket_that_goes_to_the_kernel_stays_watched)
{
    int busy = accepted(1);
    int epoll = epoll_create1(0);
    struct sockaddr_in to = address_of("127.0.0.1", base_port + 2);
    int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    EQUAL(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
    EQUAL(bind(listener, (struct sockaddr *)&to, sizeof to), 0);
    EQUAL(listen(listener, 1), 0);
    watch(epoll, busy, EPOLLOUT);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int copy = dup(fd);
    watch(epoll, fd, EPOLLOUT);
    FAILS(connect(fd, (struct sockaddr *)&to, sizeof to), EINPROGRESS);
    expect_among_ready(epoll, fd);
    CHECK(accept(listener, NULL, NULL) >= 0);
    EQUAL(option(fd, SOL_SOCKET, SO_ERROR), 0);
    EQUAL(write(copy, "x", 1), 1);
}

CASE(copied_set_reports_what_the_other_number_was_given)
{
    int ends[2];
    int busy = accepted(1);
    int epoll = epoll_create1(0);
    EQUAL(pipe(ends), 0);
    watch(epoll, busy, EPOLLOUT);
    EQUAL(wait_one(epoll, 0), EPOLLOUT);
    int copy = dup(epoll);
    CHECK(copy >= 0);
    watch(epoll, ends[0], EPOLLIN);
    EQUAL(write(ends[1], "x", 1), 1);
    expect_among_ready(copy, ends[0]);
    EQUAL(close(epoll), 0);
    expect_among_ready(copy, ends[0]);
}

CASE(copied_set_blocks_and_wakes_after_the_first_number_is_closed)
{
    int fd = accepted(1);
    int epoll = epoll_create1(0);
    watch(epoll, fd, EPOLLIN);
    EQUAL(wait_one(epoll, 0), 0);
    int copy = dup(epoll);
    EQUAL(close(epoll), 0);
    // Another file gets the number.
    EQUAL(eventfd(0, 0), epoll);
    EQUAL(peer("later 50 send 1 10"), 0);
    EQUAL(wait_one(copy, 5000), EPOLLIN);
    EQUAL(peer_result(), 10);
}
