// SPDX-License-Identifier: Apache-2.0
// poll, select, and what signals do to waiting.
#include "conformance.h"

CASE(poll_mixes_all_kinds)
{
    int pipes[2];
    int first = accepted(1);
    int second = accepted(2);
    EQUAL(pipe(pipes), 0);
    struct pollfd fds[] = {{.fd = first, .events = POLLIN}, {.fd = pipes[0], .events = POLLIN},
                           {.fd = -1, .events = POLLIN, .revents = 7}, {.fd = second, .events = POLLIN | POLLOUT},
                           {.fd = 901, .events = POLLIN}};
    EQUAL(poll(fds, 4, 0), 1);
    EQUAL(fds[2].revents, 0);
    EQUAL(fds[3].revents, POLLOUT);
    EQUAL(poll(fds, 3, 0), 0);
    EQUAL(poll(fds, 5, -1), 2);
    EQUAL(fds[4].revents, POLLNVAL);
    EQUAL(peer("later 30 send 1 10"), 0);
    EQUAL(poll(fds, 3, 5000), 1);
    EQUAL(fds[0].revents, POLLIN);
    EQUAL(peer_result(), 10);
    read_exactly(first, 10, 0);
    EQUAL(write(pipes[1], "x", 1), 1);
    EQUAL(poll(fds, 3, 5000), 1);
    EQUAL(fds[1].revents, POLLIN);
    EQUAL(poll(fds, 0, 0), 0);
}

static void *write_later(void *argument)
{
    usleep(30000);
    EQUAL(write(*(int *)argument, "x", 1), 1);
    return NULL;
}

CASE(poll_blocked_is_woken_by_a_kernel_descriptor)
{
    int pipes[2];
    pthread_t thread;
    int fd = accepted(1);
    EQUAL(pipe(pipes), 0);
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = pipes[0], .events = POLLIN}};
    EQUAL(pthread_create(&thread, NULL, write_later, &pipes[1]), 0);
    EQUAL(poll(fds, 2, 5000), 1);
    EQUAL(fds[1].revents, POLLIN);
    EQUAL(pthread_join(thread, NULL), 0);
    int epoll = epoll_create1(0);
    char byte;
    EQUAL(read(pipes[0], &byte, 1), 1);
    watch(epoll, fd, EPOLLIN);
    watch(epoll, pipes[0], EPOLLIN);
    EQUAL(pthread_create(&thread, NULL, write_later, &pipes[1]), 0);
    EQUAL(wait_one(epoll, 5000), EPOLLIN);
    EQUAL(pthread_join(thread, NULL), 0);
}

CASE(poll_with_a_signal_mask)
{
    int fd = accepted(1);
    sigset_t alarm_only;
    sigset_t none;
    struct timespec limit = {.tv_sec = 5};
    struct pollfd one = {.fd = fd, .events = POLLIN};
    sigemptyset(&none);
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    EQUAL(sigprocmask(SIG_BLOCK, &alarm_only, NULL), 0);
    alarm_soon(20, 0);
    FAILS(ppoll(&one, 1, &limit, &none), EINTR);
    EQUAL(alarms, 1);
    // One that is pending already interrupts, too.
    EQUAL(raise(SIGALRM), 0);
    FAILS(ppoll(&one, 1, &limit, &none), EINTR);
    EQUAL(alarms, 2);
    int epoll = epoll_create1(0);
    struct epoll_event event;
    watch(epoll, fd, EPOLLIN);
    EQUAL(raise(SIGALRM), 0);
    FAILS(epoll_pwait(epoll, &event, 1, 5000, &none), EINTR);
    EQUAL(alarms, 3);
    alarm_soon(20, 0);
    FAILS(epoll_pwait2(epoll, &event, 1, &limit, &none), EINTR);
    EQUAL(alarms, 4);
    fd_set reading;
    FD_ZERO(&reading);
    FD_SET(fd, &reading);
    EQUAL(raise(SIGALRM), 0);
    FAILS(pselect(fd + 1, &reading, NULL, NULL, &limit, &none), EINTR);
    EQUAL(alarms, 5);
    limit.tv_nsec = -1;
    FAILS(ppoll(&one, 1, &limit, NULL), EINVAL);
}

CASE(select_mixes_all_kinds)
{
    int pipes[2];
    fd_set reading;
    fd_set writing;
    struct timeval limit = {0};
    int fd = accepted(1);
    EQUAL(pipe(pipes), 0);
    int count = (fd > pipes[1] ? fd : pipes[1]) + 1;
    FD_ZERO(&reading);
    FD_ZERO(&writing);
    FD_SET(fd, &reading);
    FD_SET(pipes[0], &reading);
    EQUAL(select(count, &reading, NULL, NULL, &limit), 0);
    CHECK(!FD_ISSET(fd, &reading) && !FD_ISSET(pipes[0], &reading));
    FD_SET(fd, &reading);
    FD_SET(pipes[0], &reading);
    FD_SET(fd, &writing);
    EQUAL(select(count, &reading, &writing, NULL, NULL), 1);
    CHECK(FD_ISSET(fd, &writing) && !FD_ISSET(fd, &reading));
    EQUAL(peer("later 30 send 1 10"), 0);
    FD_SET(fd, &reading);
    FD_SET(pipes[0], &reading);
    limit.tv_sec = 5;
    EQUAL(select(count, &reading, NULL, NULL, &limit), 1);
    CHECK(FD_ISSET(fd, &reading) && !FD_ISSET(pipes[0], &reading));
    CHECK(limit.tv_sec == 4);
    EQUAL(peer_result(), 10);
    FD_ZERO(&reading);
    FD_SET(fd, &reading);
    FD_SET(60, &reading);
    FAILS(select(61, &reading, NULL, NULL, &limit), EBADF);
    limit.tv_sec = -1;
    FAILS(select(count, &reading, NULL, NULL, &limit), EINVAL);
}

// Again and again: one that comes before the call has begun, on a busy machine, interrupts nothing.
static void alarm_often(int milliseconds, int flags)
{
    struct itimerval timer = {.it_value = {.tv_usec = milliseconds * 1000}, .it_interval = {.tv_usec = milliseconds * 1000}};
    alarm_soon(milliseconds, flags);
    EQUAL(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

CASE(signals_interrupt_what_blocks)
{
    static uint8_t buffer[1 << 20];
    char byte;
    int fd = accepted(1);
    int listener = listening(base_port + 3);
    alarm_often(20, 0);
    FAILS(read(fd, &byte, 1), EINTR);
    alarm_often(20, 0);
    FAILS(recv(fd, &byte, 1, MSG_WAITALL), EINTR);
    alarm_often(20, 0);
    FAILS(accept(listener, NULL, NULL), EINTR);
    alarm_often(20, 0);
    ssize_t sent;
    while ((sent = write(fd, buffer, sizeof buffer)) > 0)
    {
        alarm_often(20, 0);
    }

    CHECK(sent == -1 && errno == EINTR);
    struct sockaddr_in nowhere = address_of("10.0.0.79", base_port);
    int connecting = socket(AF_INET, SOCK_STREAM, 0);
    alarm_often(20, 0);
    FAILS(connect(connecting, (struct sockaddr *)&nowhere, sizeof nowhere), EINTR);
    CHECK(alarms >= 5);
}

CASE(signals_interrupt_waiting_even_with_restart)
{
    int fd = accepted(1);
    struct pollfd one = {.fd = fd, .events = POLLIN};
    alarm_often(20, SA_RESTART);
    FAILS(poll(&one, 1, 5000), EINTR);
    alarm_often(20, SA_RESTART);
    FAILS(poll(&one, 1, -1), EINTR);
    fd_set reading;
    FD_ZERO(&reading);
    FD_SET(fd, &reading);
    alarm_often(20, SA_RESTART);
    FAILS(select(fd + 1, &reading, NULL, NULL, NULL), EINTR);
    int epoll = epoll_create1(0);
    struct epoll_event event;
    watch(epoll, fd, EPOLLIN);
    alarm_often(20, SA_RESTART);
    FAILS(epoll_wait(epoll, &event, 1, 5000), EINTR);
    alarm_often(20, SA_RESTART);
    FAILS(epoll_wait(epoll, &event, 1, -1), EINTR);
    CHECK(alarms >= 5);
}

CASE(restarted_calls_go_on)
{
    int fd = accepted(1);
    int listener = listening(base_port + 3);
    alarm_soon(20, SA_RESTART);
    EQUAL(peer("later 80 send 1 10"), 0);
    read_exactly(fd, 10, 0);
    EQUAL(peer_result(), 10);
    EQUAL(alarms, 1);
    EQUAL(poll_one(listener, POLLIN, 0), 0);
    alarm_soon(20, SA_RESTART);
    EQUAL(peer("later 80 connect 2 %s %d", own_address, base_port + 3), 0);
    CHECK(accept(listener, NULL, NULL) >= 0);
    EQUAL(peer_result(), 0);
    EQUAL(alarms, 2);
}

CASE(calls_with_a_timeout_are_not_restarted)
{
    char byte;
    struct timeval limit = {.tv_sec = 5};
    int fd = accepted(1);
    EQUAL(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    alarm_often(20, SA_RESTART);
    FAILS(read(fd, &byte, 1), EINTR);
}

static int handler_socket;

static void send_from_handler(int number)
{
    (void)number;
    int saved = errno;
    uint8_t byte;
    fill_pattern(&byte, 1, (size_t)alarms);
    ssize_t sent = write(handler_socket, &byte, 1);

    // A signal that comes while the thread is inside the stack, not yet asleep, is told to try again: the next one may.
    CHECK(sent == 1 || (sent == -1 && errno == EAGAIN));
    alarms += sent == 1;
    errno = saved;
}

CASE(handler_sends_while_the_thread_waits)
{
    handler_socket = accepted(1);
    struct sigaction action = {.sa_handler = send_from_handler, .sa_flags = SA_RESTART};
    struct itimerval timer = {.it_value = {.tv_usec = 10000}, .it_interval = {.tv_usec = 10000}};
    EQUAL(sigaction(SIGALRM, &action, NULL), 0);
    EQUAL(setitimer(ITIMER_REAL, &timer, NULL), 0);
    int epoll = epoll_create1(0);
    struct epoll_event event;
    watch(epoll, handler_socket, EPOLLIN);
    while (alarms < 5)
    {
        FAILS(epoll_wait(epoll, &event, 1, -1), EINTR);
    }

    while (alarms < 10)
    {
        CHECK(poll(&(struct pollfd){.fd = handler_socket, .events = POLLIN}, 1, 5000) == -1 && errno == EINTR);
    }

    memset(&timer, 0, sizeof timer);
    EQUAL(setitimer(ITIMER_REAL, &timer, NULL), 0);
    EQUAL(peer("receive 1 %d", (int)alarms), alarms);
}

static void try_from_handler(int number)
{
    (void)number;
    int saved = errno;
    char byte;
    // Whatever the interrupted thread was doing, this neither hangs nor crashes.
    ssize_t got = recv(handler_socket, &byte, 1, MSG_DONTWAIT);
    CHECK(got == 1 || (got == -1 && errno == EAGAIN));
    alarms++;
    errno = saved;
}

CASE(handler_calls_while_the_thread_is_inside)
{
    int fd = accepted(1);
    handler_socket = accepted(2);
    struct sigaction action = {.sa_handler = try_from_handler, .sa_flags = SA_RESTART};
    struct itimerval timer = {.it_value = {.tv_usec = 500}, .it_interval = {.tv_usec = 500}};
    EQUAL(sigaction(SIGALRM, &action, NULL), 0);
    EQUAL(peer("later 0 echo 1 2000000"), 0);
    EQUAL(setitimer(ITIMER_REAL, &timer, NULL), 0);
    for (size_t at = 0; at < 2000000; at += 10000)
    {
        write_exactly(fd, 10000, at);
        read_exactly(fd, 10000, at);
    }

    while (alarms < 100)
    {
        FAILS(recv(fd, &action, 1, MSG_DONTWAIT), EAGAIN);
    }

    memset(&timer, 0, sizeof timer);
    EQUAL(setitimer(ITIMER_REAL, &timer, NULL), 0);
    EQUAL(peer_result(), 2000000);
}
