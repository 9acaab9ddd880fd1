// SPDX-License-Identifier: Apache-2.0
// connect, bind, listen, accept, names.
#include "conformance.h"

static int attempt(int fd, const char *host, int port)
{
    struct sockaddr_in to = address_of(host, port);
    return connect(fd, (struct sockaddr *)&to, sizeof to);
}

static int bound(int port, bool reuse)
{
    struct sockaddr_in own = address_of("0.0.0.0", port);
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (reuse)
    {
        EQUAL(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
    }

    return bind(fd, (struct sockaddr *)&own, sizeof own) == 0 ? fd : -errno;
}

CASE(connect_blocking_connects)
{
    int fd = connected(1);
    EQUAL(option(fd, SOL_SOCKET, SO_ERROR), 0);
    write_exactly(fd, 100, 0);
    EQUAL(peer("echo 1 100"), 100);
    read_exactly(fd, 100, 0);
    FAILS(attempt(fd, peer_address, base_port + 1), EISCONN);
}

CASE(connect_nonblocking_is_in_progress)
{
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    EQUAL(peer("listen 15 %d 16", base_port + 1), 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    FAILS(attempt(fd, peer_address, base_port + 1), EINPROGRESS);
    EQUAL(poll_one(fd, POLLOUT, 5000), POLLOUT);
    EQUAL(option(fd, SOL_SOCKET, SO_ERROR), 0);
    EQUAL(getpeername(fd, (struct sockaddr *)&name, &length), 0);
    EQUAL(name.sin_port, htons((uint16_t)(base_port + 1)));
    expect_path(fd);
    EQUAL(attempt(fd, peer_address, base_port + 1), 0);
    FAILS(attempt(fd, peer_address, base_port + 1), EISCONN);
}

CASE(connect_refused)
{
    char byte;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    FAILS(attempt(fd, peer_address, base_port + 2), ECONNREFUSED);
    FAILS(recv(fd, &byte, 1, 0), ENOTCONN);
    EQUAL(peer("listen 15 %d 16", base_port + 2), 0);
    EQUAL(attempt(fd, peer_address, base_port + 2), 0);
    expect_path(fd);
}

CASE(connect_nonblocking_refused)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    FAILS(attempt(fd, peer_address, base_port + 2), EINPROGRESS);
    EQUAL(poll_one(fd, POLLIN | POLLOUT, 5000), POLLIN | POLLOUT | POLLERR | POLLHUP);
    EQUAL(option(fd, SOL_SOCKET, SO_ERROR), ECONNREFUSED);
    EQUAL(option(fd, SOL_SOCKET, SO_ERROR), 0);
}

CASE(connect_again_while_connecting_is_already)
{
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    // Nobody has this address: the neighbour does not answer.
    FAILS(attempt(fd, "10.0.0.77", base_port), EINPROGRESS);
    FAILS(attempt(fd, "10.0.0.77", base_port), EALREADY);
    FAILS(getpeername(fd, (struct sockaddr *)&name, &length), ENOTCONN);
    EQUAL(poll_one(fd, POLLOUT, 0), 0);
    EQUAL(close(fd), 0);
}

CASE(connect_to_a_dead_neighbour_is_unreachable)
{
    char byte;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    // Nobody has these addresses either; the neighbour code gives up before TCP does.
    FAILS(attempt(fd, "10.0.0.79", base_port), EHOSTUNREACH);
    FAILS(recv(fd, &byte, 1, 0), ENOTCONN);
    int other = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    FAILS(attempt(other, "10.0.0.80", base_port), EINPROGRESS);
    EQUAL(poll_one(other, POLLIN | POLLOUT, 30000), POLLIN | POLLOUT | POLLERR | POLLHUP);
    EQUAL(option(other, SOL_SOCKET, SO_ERROR), EHOSTUNREACH);
}

CASE(connect_ends_with_the_send_timeout)
{
    struct timeval limit = {.tv_usec = 50000};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    EQUAL(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), 0);
    FAILS(attempt(fd, "10.0.0.78", base_port), EINPROGRESS);
}

CASE(connect_leaves_no_address_in_use)
{
    for (int i = 0; i < 20; i++)
    {
        int fd = connected(1);
        write_exactly(fd, 10, 0);
        EQUAL(peer("receive 1 10"), 10);
        EQUAL(close(fd), 0);
        EQUAL(peer("close 1"), 0);
    }
}

CASE(connect_from_a_chosen_port)
{
    struct sockaddr_in own = address_of(own_address, base_port + 3);
    struct sockaddr_in got;
    socklen_t length = sizeof got;
    int one = 1;
    EQUAL(peer("listen 15 %d 16", base_port + 1), 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    EQUAL(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
    EQUAL(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
    EQUAL(attempt(fd, peer_address, base_port + 1), 0);
    expect_path(fd);
    EQUAL(getsockname(fd, (struct sockaddr *)&got, &length), 0);
    EQUAL(got.sin_port, own.sin_port);
    EQUAL(got.sin_addr.s_addr, own.sin_addr.s_addr);
}

CASE(connect_picks_a_port_of_the_range)
{
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    unsigned first;
    unsigned last;
    FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "r");
    CHECK(file != NULL && fscanf(file, "%u %u", &first, &last) == 2);
    fclose(file);
    for (int i = 0; i < 8; i++)
    {
        int fd = connected(1 + i);
        length = sizeof name;
        EQUAL(getsockname(fd, (struct sockaddr *)&name, &length), 0);
        CHECK(ntohs(name.sin_port) >= first && ntohs(name.sin_port) <= last);
        EQUAL(name.sin_addr.s_addr, address_of(own_address, 0).sin_addr.s_addr);
    }
}

CASE(unconnected_sockets_refuse_data)
{
    char byte = 0;
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    FAILS(recv(fd, &byte, 1, 0), ENOTCONN);
    FAILS(send(fd, &byte, 1, MSG_NOSIGNAL), EPIPE);
    FAILS(getpeername(fd, (struct sockaddr *)&name, &length), ENOTCONN);
    FAILS(accept(fd, NULL, NULL), EINVAL);
}

CASE(names_are_true_and_may_be_cut)
{
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    int listener = listening(base_port);
    EQUAL(peer("connect 1 %s %d", own_address, base_port), 0);
    int fd = accept(listener, (struct sockaddr *)&name, &length);
    CHECK(fd >= 0);
    EQUAL(length, sizeof name);
    EQUAL(name.sin_family, AF_INET);
    EQUAL(name.sin_addr.s_addr, address_of(peer_address, 0).sin_addr.s_addr);
    struct sockaddr_in again;
    length = sizeof again;
    EQUAL(getpeername(fd, (struct sockaddr *)&again, &length), 0);
    EQUAL(memcmp(&name, &again, 8), 0);
    length = sizeof again;
    EQUAL(getsockname(fd, (struct sockaddr *)&again, &length), 0);
    EQUAL(again.sin_port, htons((uint16_t)base_port));
    EQUAL(again.sin_addr.s_addr, address_of(own_address, 0).sin_addr.s_addr);
    memset(&again, 0x55, sizeof again);
    length = 4;
    EQUAL(getpeername(fd, (struct sockaddr *)&again, &length), 0);
    EQUAL(length, sizeof again);
    EQUAL(again.sin_addr.s_addr, 0x55555555);
    length = sizeof again;
    EQUAL(getsockname(listener, (struct sockaddr *)&again, &length), 0);
    EQUAL(again.sin_addr.s_addr, 0);
    FAILS(getpeername(listener, (struct sockaddr *)&again, &length), ENOTCONN);
}

CASE(taken_ports_are_in_use)
{
    int listener = listening(base_port);
    EQUAL(poll_one(listener, POLLIN, 0), 0);
    EQUAL(bound(base_port, false), -EADDRINUSE);
    EQUAL(bound(base_port, true), -EADDRINUSE);
    // Another process's, in the kernel.
    int ends[2];
    EQUAL(pipe(ends), 0);
    int other = base_port + 3;
    pid_t child = fork();
    if (child == 0)
    {
        int fd = bound(other, true);
        listen(fd, 1);
        char byte = fd >= 0 ? 1 : 0;
        CHECK(write(ends[1], &byte, 1) == 1);
        pause();
    }

    char byte;
    EQUAL(read(ends[0], &byte, 1), 1);
    EQUAL(byte, 1);
    EQUAL(bound(other, true), -EADDRINUSE);
    kill(child, SIGKILL);
    EQUAL(waitpid(child, NULL, 0), child);
    EQUAL(close(listener), 0);
    int again = bound(base_port, true);
    CHECK(again >= 0);
}

CASE(restart_on_the_same_port_serves_again)
{
    int listener = listening(base_port);
    for (int i = 0; i < 3; i++)
    {
        EQUAL(peer("connect 1 %s %d", own_address, base_port), 0);
        int fd = accept(listener, NULL, NULL);
        CHECK(fd >= 0);
        write_exactly(fd, 100, 0);
        EQUAL(peer("receive 1 100"), 100);
        // We close first, so TIME-WAIT is here.
        EQUAL(close(fd), 0);
        EQUAL(peer("close 1"), 0);
        EQUAL(close(listener), 0);
        EQUAL(peer("connect 1 %s %d", own_address, base_port), -ECONNREFUSED);
        listener = listening(base_port);
        EQUAL(poll_one(listener, POLLIN, 0), 0);
    }
}

CASE(backlog_keeps_connections_until_they_are_accepted)
{
    int listener = listening(base_port);
    EQUAL(listen(listener, 8), 0);
    EQUAL(poll_one(listener, POLLIN, 0), 0);
    for (int i = 0; i < 5; i++)
    {
        EQUAL(peer("connect %d %s %d", 1 + i, own_address, base_port), 0);
        EQUAL(peer("send %d 10", 1 + i), 10);
    }

    EQUAL(poll_one(listener, POLLIN, 5000), POLLIN);
    for (int i = 0; i < 5; i++)
    {
        int fd = accept(listener, NULL, NULL);
        CHECK(fd >= 0);
        expect_path(fd);
        read_exactly(fd, 10, 0);
    }

    set_nonblocking(listener);
    FAILS(accept(listener, NULL, NULL), EAGAIN);
}

CASE(accept_blocks_times_out_and_takes_flags)
{
    struct timeval limit = {.tv_usec = 50000};
    struct timeval none = {0};
    int listener = listening(base_port);
    EQUAL(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    FAILS(accept(listener, NULL, NULL), EAGAIN);
    EQUAL(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none), 0);
    EQUAL(peer("later 30 connect 1 %s %d", own_address, base_port), 0);
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    CHECK(fd >= 0);
    EQUAL(peer_result(), 0);
    expect_path(fd);
    EQUAL(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
    EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
    set_nonblocking(listener);
    EQUAL(peer("connect 2 %s %d", own_address, base_port), 0);
    EQUAL(poll_one(listener, POLLIN, 5000), POLLIN);
    fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    EQUAL(fcntl(fd, F_GETFL), O_RDWR);
    EQUAL(fcntl(fd, F_GETFD), 0);
    FAILS(accept4(listener, NULL, NULL, 1), EINVAL);
}

static int reach(const char *host, int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int result = attempt(fd, host, port);
    CHECK(result == 0 || errno == EINPROGRESS);
    return fd;
}

CASE(local_and_remote_clients_meet_at_one_listener)
{
    int listener = listening(base_port);
    int epoll = epoll_create1(0);
    watch(epoll, listener, EPOLLIN);
    set_nonblocking(listener);
    EQUAL(wait_one(epoll, 0), 0);
    int seen = 0;
    for (int i = 0; i < 3; i++)
    {
        int local[] = {reach("127.0.0.1", base_port), reach(own_address, base_port)};
        EQUAL(peer("connect %d %s %d", 1 + i, own_address, base_port), 0);
        for (int got = 0; got < 3;)
        {
            EQUAL(wait_one(epoll, 5000), EPOLLIN);
            int fd;
            while ((fd = accept(listener, NULL, NULL)) >= 0)
            {
                write_exactly(fd, 10, 0);
                EQUAL(close(fd), 0);
                got++;
                seen++;
            }

            CHECK(errno == EAGAIN);
        }

        for (int k = 0; k < 2; k++)
        {
            EQUAL(poll_one(local[k], POLLIN, 5000) & POLLIN, POLLIN);
            read_exactly(local[k], 10, 0);
            EQUAL(close(local[k]), 0);
        }

        EQUAL(peer("drain %d", 1 + i), 10);
    }

    EQUAL(seen, 9);
}

static void *reach_later(void *unused)
{
    (void)unused;
    usleep(30000);
    int fd = reach("127.0.0.1", base_port);
    poll_one(fd, POLLIN, 5000);
    return NULL;
}

CASE(blocked_accept_takes_a_local_client)
{
    pthread_t thread;
    int listener = listening(base_port);
    EQUAL(pthread_create(&thread, NULL, reach_later, NULL), 0);
    int fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    write_exactly(fd, 1, 0);
    EQUAL(pthread_join(thread, NULL), 0);
}

CASE(listener_on_the_loopback_address_is_the_kernels)
{
    struct sockaddr_in own = address_of("127.0.0.1", base_port);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    EQUAL(bind(listener, (struct sockaddr *)&own, sizeof own), 0);
    EQUAL(listen(listener, 5), 0);
    int client = reach("127.0.0.1", base_port);
    int fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    write_exactly(fd, 10, 0);
    EQUAL(poll_one(client, POLLIN, 5000), POLLIN);
    read_exactly(client, 10, 0);
    EQUAL(peer("connect 1 %s %d", own_address, base_port), -ECONNREFUSED);
}

CASE(listener_on_our_address_serves_the_peer)
{
    struct sockaddr_in own = address_of(own_address, base_port);
    int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    EQUAL(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
    EQUAL(bind(listener, (struct sockaddr *)&own, sizeof own), 0);
    EQUAL(listen(listener, 5), 0);
    EQUAL(poll_one(listener, POLLIN, 0), 0);
    EQUAL(peer("connect 1 %s %d", own_address, base_port), 0);
    int fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    expect_path(fd);
    int client = reach(own_address, base_port);
    fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    write_exactly(fd, 10, 0);
    EQUAL(poll_one(client, POLLIN, 5000) & POLLIN, POLLIN);
}

CASE(other_families_are_the_kernels)
{
    int pair[2];
    char byte = 1;
    EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    EQUAL(write(pair[0], &byte, 1), 1);
    EQUAL(poll_one(pair[1], POLLIN, 0), POLLIN);
    EQUAL(read(pair[1], &byte, 1), 1);
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT,
                               .sin6_port = htons((uint16_t)base_port)};
    int listener = socket(AF_INET6, SOCK_STREAM, 0);
    EQUAL(bind(listener, (struct sockaddr *)&six, sizeof six), 0);
    EQUAL(listen(listener, 1), 0);
    int client = socket(AF_INET6, SOCK_STREAM, 0);
    EQUAL(connect(client, (struct sockaddr *)&six, sizeof six), 0);
    int fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    write_exactly(fd, 10, 0);
    read_exactly(client, 10, 0);
    struct sockaddr_in own = address_of("0.0.0.0", base_port);
    int datagrams = socket(AF_INET, SOCK_DGRAM, 0);
    EQUAL(bind(datagrams, (struct sockaddr *)&own, sizeof own), 0);
    EQUAL(poll_one(datagrams, POLLIN, 0), 0);
}

static int dual_listener(void)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)base_port)};
    int one = 1;
    int zero = 0;
    int listener = socket(AF_INET6, SOCK_STREAM, 0);
    EQUAL(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
    EQUAL(setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero), 0);
    EQUAL(bind(listener, (struct sockaddr *)&any, sizeof any), 0);
    EQUAL(listen(listener, 16), 0);
    return listener;
}

// ::ffff:a.b.c.d
static void expect_mapped(const struct sockaddr_in6 *name, socklen_t length, const char *host)
{
    struct in_addr wanted = address_of(host, 0).sin_addr;
    EQUAL(length, sizeof *name);
    EQUAL(name->sin6_family, AF_INET6);
    CHECK(IN6_IS_ADDR_V4MAPPED(&name->sin6_addr));
    EQUAL(memcmp(&name->sin6_addr.s6_addr[12], &wanted, 4), 0);
}

CASE(dual_stack_listener_serves_ipv4)
{
    struct sockaddr_in6 name;
    socklen_t length = sizeof name;
    int listener = dual_listener();
    EQUAL(poll_one(listener, POLLIN, 0), 0);
    EQUAL(peer("connect 1 %s %d", own_address, base_port), 0);
    int fd = accept(listener, (struct sockaddr *)&name, &length);
    CHECK(fd >= 0);
    expect_mapped(&name, length, peer_address);
    length = sizeof name;
    EQUAL(getpeername(fd, (struct sockaddr *)&name, &length), 0);
    expect_mapped(&name, length, peer_address);
    length = sizeof name;
    EQUAL(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    expect_mapped(&name, length, own_address);
    EQUAL(name.sin6_port, htons((uint16_t)base_port));
    EQUAL(option(fd, SOL_SOCKET, SO_DOMAIN), AF_INET6);
    EQUAL(option(listener, SOL_SOCKET, SO_DOMAIN), AF_INET6);
    EQUAL(option(listener, IPPROTO_IPV6, IPV6_V6ONLY), 0);
    EQUAL(option(fd, IPPROTO_IPV6, IPV6_V6ONLY), 0);
    write_exactly(fd, 1000, 0);
    EQUAL(peer("echo 1 1000"), 1000);
    read_exactly(fd, 1000, 0);
    expect_path(fd);
}

CASE(dual_stack_listener_serves_everybody)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT,
                               .sin6_port = htons((uint16_t)base_port)};
    int listener = dual_listener();
    int epoll = epoll_create1(0);
    set_nonblocking(listener);
    watch(epoll, listener, EPOLLIN);
    EQUAL(wait_one(epoll, 0), 0);
    int local = socket(AF_INET6, SOCK_STREAM, 0);
    EQUAL(connect(local, (struct sockaddr *)&six, sizeof six), 0);
    reach("127.0.0.1", base_port);
    EQUAL(peer("connect 1 %s %d", own_address, base_port), 0);
    for (int got = 0; got < 3; got++)
    {
        struct sockaddr_in6 name;
        socklen_t length = sizeof name;
        EQUAL(wait_one(epoll, 5000), EPOLLIN);
        int fd = accept(listener, (struct sockaddr *)&name, &length);
        CHECK(fd >= 0);
        EQUAL(name.sin6_family, AF_INET6);
    }
}

CASE(only_ipv6_listener_refuses_ipv4)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)base_port)};
    int one = 1;
    int listener = socket(AF_INET6, SOCK_STREAM, 0);
    EQUAL(setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one), 0);
    EQUAL(bind(listener, (struct sockaddr *)&any, sizeof any), 0);
    EQUAL(listen(listener, 16), 0);
    EQUAL(poll_one(listener, POLLIN, 0), 0);
    EQUAL(peer("connect 1 %s %d", own_address, base_port), -ECONNREFUSED);
}
