// SPDX-License-Identifier: Apache-2.0
// dup, fcntl, close.
#include "conformance.h"

static void expect_works(int fd, int slot, size_t *at)
{
    write_exactly(fd, 100, *at);
    EQUAL(peer("echo %d 100", slot), 100);
    read_exactly(fd, 100, *at);
    *at += 100;
}

CASE(copies_are_the_same_connection)
{
    size_t at = 0;
    int fd = accepted(1);
    int copy = dup(fd);
    CHECK(copy >= 0 && copy != fd);
    expect_works(fd, 1, &at);
    expect_works(copy, 1, &at);
    set_nonblocking(fd);
    EQUAL(fcntl(copy, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    EQUAL(fcntl(fd, F_SETFL, O_RDWR), 0);
    EQUAL(close(fd), 0);
    FAILS(write(fd, "x", 1), EBADF);
    expect_works(copy, 1, &at);
    expect_path(copy);
    EQUAL(dup2(copy, 200), 200);
    EQUAL(dup3(copy, 201, O_CLOEXEC), 201);
    EQUAL(fcntl(201, F_GETFD), FD_CLOEXEC);
    EQUAL(fcntl(200, F_GETFD), 0);
    EQUAL(fcntl(copy, F_DUPFD, 300), 300);
    EQUAL(fcntl(copy, F_DUPFD_CLOEXEC, 300), 301);
    EQUAL(fcntl(301, F_GETFD), FD_CLOEXEC);
    FAILS(dup3(copy, copy, 0), EINVAL);
    EQUAL(dup2(copy, copy), copy);
    EQUAL(close(copy), 0);
    expect_works(200, 1, &at);
    expect_works(301, 1, &at);
    EQUAL(close(200) | close(201) | close(300), 0);
    expect_works(301, 1, &at);
    EQUAL(close(301), 0);
    EQUAL(peer("drain 1"), 0);
}

CASE(copy_onto_a_connection_ends_it)
{
    size_t at = 0;
    int first = accepted(1);
    int second = accepted(2);
    EQUAL(dup2(second, first), first);
    EQUAL(peer("drain 1"), 0);
    expect_works(first, 2, &at);
    int null = open("/dev/null", O_RDWR);
    EQUAL(dup2(null, second), second);
    EQUAL(write(second, "x", 1), 1);
    expect_works(first, 2, &at);
    EQUAL(dup2(null, first), first);
    EQUAL(peer("drain 2"), 0);
}

CASE(connection_moves_onto_standard_input_and_output)
{
    int fd = accepted(1);
    int saved = dup(1);
    EQUAL(dup2(fd, 0), 0);
    EQUAL(dup2(fd, 1), 1);
    EQUAL(close(fd), 0);
    write_exactly(1, 100, 0);
    EQUAL(peer("echo 1 100"), 100);
    read_exactly(0, 100, 0);
    EQUAL(dup2(saved, 1), 1);
    EQUAL(close(0), 0);
    EQUAL(peer("drain 1"), 0);
}

CASE(copied_candidate_connects)
{
    size_t at = 0;
    struct sockaddr_in to = address_of(peer_address, base_port + 1);
    EQUAL(peer("listen 15 %d 16", base_port + 1), 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 100);
    EQUAL(copy, 100);
    EQUAL(connect(copy, (struct sockaddr *)&to, sizeof to), 0);
    EQUAL(peer("accept 15 1"), 0);
    expect_works(fd, 1, &at);
    expect_works(copy, 1, &at);
    EQUAL(close(fd), 0);
    expect_works(copy, 1, &at);
    expect_path(copy);
}

CASE(copied_listener_accepts)
{
    size_t at = 0;
    int listener = listening(base_port);
    int copy = dup(listener);
    EQUAL(close(listener), 0);
    EQUAL(poll_one(copy, POLLIN, 0), 0);
    EQUAL(peer("connect 1 %s %d", own_address, base_port), 0);
    int fd = accept(copy, NULL, NULL);
    CHECK(fd >= 0);
    expect_path(fd);
    expect_works(fd, 1, &at);
}

CASE(closing_everything_leaves_the_program_working)
{
    size_t at = 0;
    int fd = accepted(1);
    // As daemons do; the two that this program needs stay.
    int listener = listening(base_port + 3);
    EQUAL(poll_one(listener, POLLIN, 0), 0);
    for (int i = listener + 1; i < 1000; i++)
    {
        close(i);
    }

    close_range(400, 2000, 0);
    expect_works(fd, 1, &at);
    EQUAL(peer("connect 2 %s %d", own_address, base_port + 3), 0);
    CHECK(accept(listener, NULL, NULL) >= 0);
}

CASE(closed_ranges_end_connections)
{
    int fd = accepted(1);
    EQUAL(dup2(fd, 500), 500);
    EQUAL(close(fd), 0);
    EQUAL(close_range(490, 510, 0), 0);
    EQUAL(peer("drain 1"), 0);
    FAILS(write(500, "x", 1), EBADF);
}

CASE(descriptor_numbers_are_the_lowest_free)
{
    int fd = accepted(1);
    int file = open("/dev/null", O_RDONLY);
    EQUAL(close(fd), 0);
    int next = accepted(2);
    EQUAL(next, fd);
    EQUAL(close(file), 0);
    EQUAL(fcntl(next, F_SETFD, FD_CLOEXEC), 0);
    EQUAL(fcntl(next, F_GETFD), FD_CLOEXEC);
}

CASE(splice_goes_on_after_everything_else_is_closed)
{
    int ends[2];
    int fd = accepted(1);
    EQUAL(pipe(ends), 0);
    write_exactly(ends[1], 10, 0);
    EQUAL(splice(ends[0], NULL, fd, NULL, 10, 0), 10);
    for (int i = ends[1] + 1; i < 200; i++)
    {
        close(i);
    }

    // Numbers that the stack lost would be these.
    int file = open("/dev/null", O_RDWR);
    int other = open("/dev/null", O_RDWR);
    write_exactly(ends[1], 10, 10);
    EQUAL(splice(ends[0], NULL, fd, NULL, 10, 0), 10);
    EQUAL(peer("receive 1 20"), 20);
    EQUAL(close(file), 0);
    EQUAL(close(other), 0);
}
