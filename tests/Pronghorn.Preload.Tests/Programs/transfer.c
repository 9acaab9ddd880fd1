// SPDX-License-Identifier: Apache-2.0
// Receiving and sending.
#include "conformance.h"

CASE(receive_blocks_until_data_comes)
{
    int fd = accepted(1);
    EQUAL(peer("later 30 send 1 100"), 0);
    read_exactly(fd, 100, 0);
    EQUAL(peer_result(), 100);
}

CASE(receive_nonblocking_is_again)
{
    char byte;
    int fd = accepted(1);
    FAILS(recv(fd, &byte, 1, MSG_DONTWAIT), EAGAIN);
    set_nonblocking(fd);
    FAILS(read(fd, &byte, 1), EAGAIN);
    EQUAL(peer("send 1 1"), 1);
    EQUAL(poll_one(fd, POLLIN, 5000), POLLIN);
    EQUAL(read(fd, &byte, 1), 1);
    FAILS(read(fd, &byte, 1), EAGAIN);
}

CASE(receive_timeout_is_again)
{
    char byte;
    int fd = accepted(1);
    struct timeval limit = {.tv_usec = 50000};
    struct timeval got = {0};
    socklen_t length = sizeof got;
    EQUAL(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    EQUAL(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &got, &length), 0);
    EQUAL(length, sizeof got);
    CHECK(got.tv_usec >= 50000 && got.tv_usec < 60000); // the kernel counts in ticks
    FAILS(read(fd, &byte, 1), EAGAIN);
}

CASE(send_timeout_after_the_windows_are_full)
{
    static uint8_t buffer[1 << 20];
    int fd = accepted(1);
    struct timeval limit = {.tv_usec = 50000};
    size_t total = 0;
    ssize_t sent;
    EQUAL(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), 0);
    do
    {
        fill_pattern(buffer, sizeof buffer, total);
        sent = write(fd, buffer, sizeof buffer);
        total += sent > 0 ? (size_t)sent : 0;
        CHECK(total < (size_t)1 << 30);
    } while (sent > 0);
    CHECK(errno == EAGAIN);
    EQUAL(peer("receive 1 %zu", total), total);
}

CASE(send_nonblocking_takes_a_part_and_then_is_again)
{
    static uint8_t buffer[64 << 20];
    int fd = accepted(1);
    set_nonblocking(fd);
    fill_pattern(buffer, sizeof buffer, 0);
    ssize_t sent = send(fd, buffer, sizeof buffer, 0);
    CHECK(sent > 0 && sent < (ssize_t)sizeof buffer);
    size_t total = (size_t)sent;
    while ((sent = send(fd, buffer + total, sizeof buffer - total, 0)) > 0)
    {
        total += (size_t)sent;
    }

    CHECK(sent == -1 && errno == EAGAIN);
    CHECK(total < sizeof buffer);
    EQUAL(poll_one(fd, POLLOUT, 0), 0);
    EQUAL(peer("receive 1 %zu", total), total);
    EQUAL(poll_one(fd, POLLOUT, 5000), POLLOUT);
}

CASE(peek_leaves_the_data)
{
    uint8_t buffer[200];
    int fd = accepted(1);
    EQUAL(peer("send 1 100"), 100);
    EQUAL(recv(fd, buffer, 10, MSG_PEEK), 10);
    CHECK(is_pattern(buffer, 10, 0));
    EQUAL(recv(fd, buffer, 200, MSG_PEEK), 100);
    EQUAL(recv(fd, buffer, 200, 0), 100);
    CHECK(is_pattern(buffer, 100, 0));
    FAILS(recv(fd, buffer, 1, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
}

CASE(waitall_collects_all)
{
    uint8_t buffer[300];
    int fd = accepted(1);
    EQUAL(peer("send 1 100"), 100);
    EQUAL(peer("later 30 send 1 200"), 0);
    EQUAL(recv(fd, buffer, 300, MSG_WAITALL), 300);
    CHECK(is_pattern(buffer, 300, 0));
    EQUAL(peer_result(), 200);
}

CASE(waitall_ends_with_the_stream)
{
    uint8_t buffer[300];
    int fd = accepted(1);
    EQUAL(peer("send 1 100"), 100);
    EQUAL(peer("later 30 close 1"), 0);
    EQUAL(recv(fd, buffer, 300, MSG_WAITALL), 100);
    EQUAL(recv(fd, buffer, 300, MSG_WAITALL), 0);
    EQUAL(peer_result(), 0);
}

CASE(truncate_throws_bytes_away)
{
    uint8_t buffer[100];
    int fd = accepted(1);
    EQUAL(peer("send 1 5000"), 5000);
    EQUAL(poll_one(fd, POLLIN, 5000), POLLIN);
    EQUAL(recv(fd, NULL, 1000, MSG_TRUNC | MSG_WAITALL), 1000);
    EQUAL(recv(fd, buffer, 100, 0), 100);
    CHECK(is_pattern(buffer, 100, 1000));
}

CASE(empty_calls_do_nothing)
{
    uint8_t buffer[1];
    int fd = accepted(1);
    EQUAL(send(fd, buffer, 0, 0), 0);
    EQUAL(write(fd, buffer, 0), 0);
    EQUAL(read(fd, buffer, 0), 0);
    FAILS(recv(fd, buffer, 0, MSG_DONTWAIT), EAGAIN);
    EQUAL(peer("send 1 1"), 1);
    EQUAL(poll_one(fd, POLLIN, 5000), POLLIN);
    EQUAL(recv(fd, buffer, 0, MSG_DONTWAIT), 0);
    EQUAL(read(fd, buffer, 1), 1);
}

CASE(vectors_scatter_and_gather)
{
    uint8_t first[10];
    uint8_t second[2000];
    uint8_t third[90];
    struct iovec vector[] = {{first, 10}, {NULL, 0}, {second, 2000}, {third, 90}};
    int fd = accepted(1);
    fill_pattern(first, 10, 0);
    fill_pattern(second, 2000, 10);
    fill_pattern(third, 90, 2010);
    EQUAL(writev(fd, vector, 4), 2100);
    EQUAL(peer("receive 1 2100"), 2100);
    EQUAL(peer("send 1 2100"), 2100);
    memset(second, 0, sizeof second);
    size_t got = 0;
    while (got < 2100)
    {
        EQUAL(poll_one(fd, POLLIN, 5000), POLLIN);
        int queued = 0;
        EQUAL(ioctl(fd, FIONREAD, &queued), 0);
        got = (size_t)queued;
    }

    EQUAL(readv(fd, vector, 4), 2100);
    CHECK(is_pattern(first, 10, 0) && is_pattern(second, 2000, 10) && is_pattern(third, 90, 2010));
    FAILS(readv(fd, vector, -1), EINVAL);
    FAILS(writev(fd, vector, 100000), EINVAL);
}

CASE(messages_carry_no_name)
{
    uint8_t buffer[100];
    struct sockaddr_in name;
    struct iovec vector = {buffer, sizeof buffer};
    struct msghdr message = {.msg_name = &name, .msg_namelen = sizeof name, .msg_iov = &vector, .msg_iovlen = 1};
    int fd = accepted(1);
    EQUAL(peer("send 1 100"), 100);
    EQUAL(recvmsg(fd, &message, 0), 100);
    EQUAL(message.msg_namelen, 0);
    EQUAL(message.msg_controllen, 0);
    EQUAL(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC), 0);
    CHECK(is_pattern(buffer, 100, 0));
    EQUAL(peer("send 1 50"), 50);
    struct sockaddr_in from = {.sin_port = 77};
    socklen_t size = sizeof from;
    EQUAL(recvfrom(fd, buffer, 100, 0, (struct sockaddr *)&from, &size), 50);
    EQUAL(from.sin_port, 77);
    struct sockaddr_in to = address_of(peer_address, 1);
    fill_pattern(buffer, 100, 0);
    EQUAL(sendto(fd, buffer, 60, 0, NULL, 0), 60);
    vector = (struct iovec){buffer + 60, 40};
    message = (struct msghdr){.msg_iov = &vector, .msg_iovlen = 1};
    EQUAL(sendmsg(fd, &message, 0), 40);
    EQUAL(peer("receive 1 100"), 100);
    // Linux ignores the name on a connection.
    EQUAL(sendto(fd, buffer, 1, 0, (struct sockaddr *)&to, sizeof to), 1);
}

CASE(several_messages_in_one_call)
{
    uint8_t buffer[300];
    struct iovec vectors[3];
    struct mmsghdr messages[3] = {0};
    int fd = accepted(1);
    for (int i = 0; i < 3; i++)
    {
        vectors[i] = (struct iovec){buffer + 100 * i, 100};
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }

    fill_pattern(buffer, 300, 0);
    EQUAL(sendmmsg(fd, messages, 3, 0), 3);
    EQUAL(messages[2].msg_len, 100);
    EQUAL(peer("receive 1 300"), 300);
    EQUAL(peer("send 1 150"), 150);
    EQUAL(poll_one(fd, POLLIN, 5000), POLLIN);
    EQUAL(recvmmsg(fd, messages, 3, MSG_DONTWAIT, NULL), 2);
    EQUAL(messages[0].msg_len, 100);
    EQUAL(messages[1].msg_len, 50);
    EQUAL(peer("send 1 30"), 30);
    EQUAL(recvmmsg(fd, messages, 3, MSG_WAITFORONE, NULL), 1);
    CHECK(is_pattern(buffer, 30, 150));
}

CASE(more_holds_back_and_the_next_call_pushes)
{
    uint8_t buffer[300];
    int fd = accepted(1);
    int one = 1;
    EQUAL(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
    fill_pattern(buffer, 300, 0);
    EQUAL(send(fd, buffer, 100, MSG_MORE), 100);
    EQUAL(send(fd, buffer + 100, 100, MSG_MORE), 100);
    EQUAL(send(fd, buffer + 200, 100, 0), 100);
    EQUAL(peer("receive 1 300"), 300);
    // Held back data leaves after 200 ms at the latest.
    fill_pattern(buffer, 100, 300);
    EQUAL(send(fd, buffer, 100, MSG_MORE), 100);
    EQUAL(peer("receive 1 100"), 100);
}

CASE(cork_holds_back_until_it_is_pulled)
{
    int one = 1;
    int zero = 0;
    int fd = accepted(1);
    EQUAL(setsockopt(fd, IPPROTO_TCP, TCP_CORK, &one, sizeof one), 0);
    write_exactly(fd, 100, 0);
    write_exactly(fd, 100, 100);
    EQUAL(setsockopt(fd, IPPROTO_TCP, TCP_CORK, &zero, sizeof zero), 0);
    EQUAL(peer("receive 1 200"), 200);
}

static int pattern_file(size_t size)
{
    char path[] = "/tmp/conformance-XXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0);
    unlink(path);
    write_exactly(file, size, 0);
    return file;
}

CASE(file_is_sent_from_an_offset_or_its_position)
{
    int fd = accepted(1);
    int file = pattern_file(300000);
    off_t offset = 0;
    size_t total = 0;
    EQUAL(lseek(file, 7, SEEK_SET), 7);
    while (total < 200000)
    {
        ssize_t sent = sendfile(fd, file, &offset, 200000 - total);
        CHECK(sent > 0);
        total += (size_t)sent;
    }

    EQUAL(offset, 200000);
    EQUAL(lseek(file, 0, SEEK_CUR), 7);
    EQUAL(lseek(file, 200000, SEEK_SET), 200000);
    EQUAL(peer("receive 1 200000"), 200000);
    total = 0;
    while (total < 100000)
    {
        ssize_t sent = sendfile(fd, file, NULL, 1 << 20);
        CHECK(sent > 0);
        total += (size_t)sent;
    }

    EQUAL(lseek(file, 0, SEEK_CUR), 300000);
    EQUAL(sendfile(fd, file, NULL, 100), 0);
    EQUAL(peer("receive 1 100000"), 100000);
}

CASE(file_is_sent_as_far_as_there_is_room)
{
    int fd = accepted(1);
    int file = pattern_file(32 << 20);
    off_t offset = 0;
    set_nonblocking(fd);
    while (sendfile(fd, file, &offset, 32 << 20) > 0)
    {
    }

    CHECK(errno == EAGAIN);
    CHECK(offset > 0 && offset < 32 << 20);
    EQUAL(peer("receive 1 %ld", (long)offset), offset);
    EQUAL(poll_one(fd, POLLOUT, 5000), POLLOUT);
    off_t before = offset;
    CHECK(sendfile(fd, file, &offset, 1000) == 1000);
    EQUAL(offset, before + 1000);
    EQUAL(peer("receive 1 1000"), 1000);
}

CASE(pipe_is_spliced_into_a_connection)
{
    int ends[2];
    int fd = accepted(1);
    EQUAL(pipe(ends), 0);
    write_exactly(ends[1], 5000, 0);
    size_t total = 0;
    while (total < 5000)
    {
        ssize_t moved = splice(ends[0], NULL, fd, NULL, 5000 - total, 0);
        CHECK(moved > 0);
        total += (size_t)moved;
    }

    EQUAL(peer("receive 1 5000"), 5000);
    set_nonblocking(ends[0]);
    FAILS(splice(ends[0], NULL, fd, NULL, 100, SPLICE_F_NONBLOCK), EAGAIN);
    close(ends[1]);
    EQUAL(splice(ends[0], NULL, fd, NULL, 100, 0), 0);
}

CASE(connection_is_spliced_into_a_pipe)
{
    int ends[2];
    int fd = accepted(1);
    EQUAL(pipe(ends), 0);
    EQUAL(peer("send 1 5000"), 5000);
    size_t total = 0;
    while (total < 5000)
    {
        ssize_t moved = splice(fd, NULL, ends[1], NULL, 5000 - total, 0);
        CHECK(moved > 0);
        total += (size_t)moved;
    }

    read_exactly(ends[0], 5000, 0);
    set_nonblocking(fd);
    FAILS(splice(fd, NULL, ends[1], NULL, 100, SPLICE_F_NONBLOCK), EAGAIN);
    EQUAL(peer("close 1"), 0);
    EQUAL(splice(fd, NULL, ends[1], NULL, 100, 0), 0);
}

CASE(bulk_both_ways_is_exact)
{
    enum { TOTAL = 8 << 20 };
    static uint8_t buffer[1 << 16];
    int fd = accepted(1);
    size_t out = 0;
    size_t in = 0;
    set_nonblocking(fd);
    EQUAL(peer("later 0 echo 1 %d", TOTAL), 0);
    while (in < TOTAL)
    {
        short ready = poll_one(fd, (short)(POLLIN | (out < TOTAL ? POLLOUT : 0)), 10000);
        CHECK(ready != 0);
        if ((ready & POLLIN) != 0)
        {
            ssize_t got = read(fd, buffer, sizeof buffer);
            CHECK(got > 0 && is_pattern(buffer, (size_t)got, in));
            in += (size_t)got;
        }

        if ((ready & POLLOUT) != 0)
        {
            size_t part = TOTAL - out < sizeof buffer ? TOTAL - out : sizeof buffer;
            fill_pattern(buffer, part, out);
            ssize_t sent = write(fd, buffer, part);
            CHECK(sent > 0 || errno == EAGAIN);
            out += sent > 0 ? (size_t)sent : 0;
        }
    }

    EQUAL(peer_result(), TOTAL);
}

CASE(blocking_bulk_is_exact)
{
    int fd = connected(1);
    EQUAL(peer("later 0 receive 1 %d", 20 << 20), 0);
    write_exactly(fd, 20 << 20, 0);
    EQUAL(peer_result(), 20 << 20);
    EQUAL(peer("later 0 send 1 %d", 20 << 20), 0);
    read_exactly(fd, 20 << 20, 0);
    EQUAL(peer_result(), 20 << 20);
}

CASE(queue_lengths_are_told)
{
    int number = -1;
    int fd = accepted(1);
    EQUAL(peer("send 1 700"), 700);
    EQUAL(poll_one(fd, POLLIN, 5000), POLLIN);
    EQUAL(ioctl(fd, FIONREAD, &number), 0);
    EQUAL(number, 700);
    read_exactly(fd, 700, 0);
    EQUAL(ioctl(fd, FIONREAD, &number), 0);
    EQUAL(number, 0);
    write_exactly(fd, 100, 0);
    EQUAL(peer("receive 1 100"), 100);
    // A round trip of data brings the acknowledgement with it.
    EQUAL(peer("send 1 1"), 1);
    EQUAL(poll_one(fd, POLLIN, 5000), POLLIN);
    EQUAL(ioctl(fd, TIOCOUTQ, &number), 0);
    EQUAL(number, 0);
}

CASE(impossible_buffers_are_refused)
{
    enum { MOST = 1024 }; // UIO_MAXIOV
    static struct iovec vector[MOST + 1];
    static uint8_t bytes[MOST + 1];
    struct msghdr message = {.msg_iov = vector, .msg_iovlen = MOST + 1};
    int fd = accepted(1);
    for (int i = 0; i <= MOST; i++)
    {
        vector[i] = (struct iovec){.iov_base = bytes + i, .iov_len = 1};
    }

    EQUAL(peer("send 1 %d", 3 * MOST), 3 * MOST);
    FAILS(readv(fd, vector, MOST + 1), EINVAL);
    FAILS(writev(fd, vector, MOST + 1), EINVAL);
    FAILS(readv(fd, vector, -1), EINVAL);
    FAILS(recvmsg(fd, &message, 0), EMSGSIZE);
    FAILS(sendmsg(fd, &message, 0), EMSGSIZE);
    EQUAL(readv(fd, vector, MOST), MOST);
    CHECK(is_pattern(bytes, MOST, 0));
    message.msg_iovlen = MOST;
    EQUAL(recvmsg(fd, &message, 0), MOST);
    fill_pattern(bytes, MOST, 0);
    EQUAL(writev(fd, vector, MOST), MOST);
    EQUAL(peer("receive 1 %d", MOST), MOST);
    vector[1].iov_len = (size_t)-1;
    FAILS(readv(fd, vector, 2), EINVAL);
    FAILS(writev(fd, vector, 2), EINVAL);
    vector[0] = (struct iovec){.iov_base = NULL, .iov_len = 4};
    FAILS(writev(fd, vector, 1), EFAULT);
    FAILS(send(fd, NULL, 4, 0), EFAULT);
    FAILS(recv(fd, NULL, 4, 0), EFAULT);
    FAILS(readv(fd, vector, 1), EFAULT);
    message = (struct msghdr){.msg_iov = vector, .msg_iovlen = 1};
    FAILS(recvmsg(fd, &message, 0), EFAULT);
    FAILS(sendmsg(fd, &message, 0), EFAULT);
    FAILS(recvmsg(fd, NULL, 0), EFAULT);
    EQUAL(recv(fd, NULL, 0, MSG_DONTWAIT), 0);
    EQUAL(recv(fd, bytes, MOST, 0), MOST);
}
