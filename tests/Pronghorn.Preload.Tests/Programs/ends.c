// SPDX-License-Identifier: Apache-2.0
// How connections end.
#include "conformance.h"

static volatile sig_atomic_t pipes;

static void note_pipe(int number)
{
    (void)number;
    pipes++;
}

CASE(half_close_by_the_peer_lets_us_send)
{
    char byte;
    int fd = accepted(1);
    EQUAL(peer("send 1 1"), 1);
    EQUAL(peer("shutdown 1 1"), 0);
    EQUAL(poll_one(fd, POLLIN | POLLRDHUP, 5000) & POLLIN, POLLIN);
    EQUAL(read(fd, &byte, 1), 1);
    EQUAL(read(fd, &byte, 1), 0);
    EQUAL(poll_one(fd, POLLIN | POLLOUT | POLLRDHUP, 5000), POLLIN | POLLOUT | POLLRDHUP);
    write_exactly(fd, 1000, 0);
    EQUAL(peer("receive 1 1000"), 1000);
    EQUAL(close(fd), 0);
    EQUAL(peer("drain 1"), 0);
}

CASE(half_close_by_us_lets_us_receive)
{
    char byte;
    int fd = accepted(1);
    signal(SIGPIPE, note_pipe);
    write_exactly(fd, 1000, 0);
    EQUAL(shutdown(fd, SHUT_WR), 0);
    EQUAL(peer("drain 1"), 1000);
    FAILS(write(fd, &byte, 1), EPIPE);
    EQUAL(pipes, 1);
    FAILS(send(fd, &byte, 1, MSG_NOSIGNAL), EPIPE);
    EQUAL(pipes, 1);
    EQUAL(peer("send 1 1000"), 1000);
    read_exactly(fd, 1000, 0);
    EQUAL(peer("close 1"), 0);
    EQUAL(read(fd, &byte, 1), 0);
    EQUAL(poll_one(fd, POLLIN | POLLOUT | POLLRDHUP, 5000), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
}

CASE(shutdown_of_receiving_ends_the_stream)
{
    char byte;
    int fd = accepted(1);
    EQUAL(shutdown(fd, SHUT_RD), 0);
    EQUAL(read(fd, &byte, 1), 0);
    EQUAL(poll_one(fd, POLLIN | POLLRDHUP, 0), POLLIN | POLLRDHUP);
    write_exactly(fd, 100, 0);
    EQUAL(peer("receive 1 100"), 100);
}

CASE(shutdown_of_both_ends_both)
{
    char byte;
    int fd = accepted(1);
    EQUAL(shutdown(fd, SHUT_RDWR), 0);
    EQUAL(read(fd, &byte, 1), 0);
    FAILS(send(fd, &byte, 1, MSG_NOSIGNAL), EPIPE);
    EQUAL(peer("drain 1"), 0);
    EQUAL(poll_one(fd, POLLIN, 0), POLLIN | POLLHUP);
    FAILS(shutdown(fd, 9), EINVAL);
}

CASE(shutdown_needs_a_connection)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    FAILS(shutdown(fd, SHUT_RDWR), ENOTCONN);
}

CASE(reset_by_the_peer_is_told_once)
{
    char byte;
    int fd = accepted(1);
    EQUAL(peer("reset 1"), 0);
    EQUAL(poll_one(fd, POLLIN | POLLRDHUP, 5000), POLLIN | POLLRDHUP | POLLERR | POLLHUP);
    FAILS(read(fd, &byte, 1), ECONNRESET);
    EQUAL(read(fd, &byte, 1), 0);
    FAILS(send(fd, &byte, 1, MSG_NOSIGNAL), EPIPE);
}

CASE(reset_by_the_peer_is_told_by_the_option)
{
    char byte;
    int fd = accepted(1);
    EQUAL(peer("reset 1"), 0);
    EQUAL(poll_one(fd, 0, 5000), POLLERR | POLLHUP);
    EQUAL(option(fd, SOL_SOCKET, SO_ERROR), ECONNRESET);
    EQUAL(option(fd, SOL_SOCKET, SO_ERROR), 0);
    EQUAL(read(fd, &byte, 1), 0);
}

CASE(reset_ends_a_blocked_receive)
{
    char byte;
    int fd = accepted(1);
    EQUAL(peer("later 30 reset 1"), 0);
    FAILS(read(fd, &byte, 1), ECONNRESET);
    EQUAL(peer_result(), 0);
}

CASE(broken_pipe_raises_the_signal)
{
    char byte = 0;
    signal(SIGPIPE, note_pipe);
    int fd = accepted(1);
    EQUAL(shutdown(fd, SHUT_WR), 0);
    struct iovec vector = {&byte, 1};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    FAILS(send(fd, &byte, 1, 0), EPIPE);
    FAILS(writev(fd, &vector, 1), EPIPE);
    FAILS(sendmsg(fd, &message, 0), EPIPE);
    EQUAL(pipes, 3);
    FAILS(sendmsg(fd, &message, MSG_NOSIGNAL), EPIPE);
    EQUAL(pipes, 3);
    signal(SIGPIPE, SIG_IGN);
    FAILS(write(fd, &byte, 1), EPIPE);
}

CASE(broken_pipe_kills_by_default)
{
    struct sigaction action;
    signal(SIGPIPE, SIG_DFL);
    int fd = accepted(1);
    EQUAL(sigaction(SIGPIPE, NULL, &action), 0);
    CHECK(action.sa_handler == SIG_DFL);
    EQUAL(close(fd), 0);
}

CASE(linger_zero_resets)
{
    struct linger linger = {.l_onoff = 1};
    int fd = accepted(1);
    write_exactly(fd, 10, 0);
    EQUAL(peer("receive 1 10"), 10);
    EQUAL(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    EQUAL(close(fd), 0);
    EQUAL(peer("receive 1 1"), -ECONNRESET);
}

CASE(linger_waits_for_the_acknowledgement)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 10};
    struct linger got;
    socklen_t length = sizeof got;
    int fd = accepted(1);
    EQUAL(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    EQUAL(getsockopt(fd, SOL_SOCKET, SO_LINGER, &got, &length), 0);
    EQUAL(got.l_linger, 10);
    write_exactly(fd, 20000, 0);
    EQUAL(close(fd), 0);
    EQUAL(peer("drain 1"), 20000);
}

CASE(close_with_unread_data_resets)
{
    int fd = accepted(1);
    EQUAL(peer("send 1 100"), 100);
    EQUAL(poll_one(fd, POLLIN, 5000), POLLIN);
    EQUAL(close(fd), 0);
    EQUAL(peer("receive 1 1"), -ECONNRESET);
}

CASE(close_delivers_what_was_written)
{
    int fd = accepted(1);
    write_exactly(fd, 100000, 0);
    EQUAL(close(fd), 0);
    EQUAL(peer("drain 1"), 100000);
    FAILS(close(fd), EBADF);
}

CASE(exit_delivers_what_was_written)
{
    int ends[2];
    char byte;
    EQUAL(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0)
    {
        // More than the peer's window takes while nobody reads there.
        int fd = accepted(1);
        write_exactly(fd, 150000, 0);
        CHECK(write(ends[1], "w", 1) == 1);
        exit(0);
    }

    EQUAL(read(ends[0], &byte, 1), 1);
    EQUAL(peer("drain 1"), 150000);
    int status = -1;
    EQUAL(waitpid(child, &status, 0), child);
    EQUAL(status, 0);
}

CASE(name_of_the_peer_outlives_its_end)
{
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    char byte;
    int fd = accepted(1);
    EQUAL(peer("close 1"), 0);
    EQUAL(read(fd, &byte, 1), 0);
    EQUAL(getpeername(fd, (struct sockaddr *)&name, &length), 0);
    EQUAL(name.sin_addr.s_addr, address_of(peer_address, 0).sin_addr.s_addr);
    EQUAL(peer("clear"), 0);
}
