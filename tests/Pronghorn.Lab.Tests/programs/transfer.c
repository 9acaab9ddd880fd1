// SPDX-License-Identifier: Apache-2.0
// Moves a stream drawn from a seed over TCP and compares every octet at the receiver.
//
// transfer serve ADDRESS PORT           answers any number of clients, one after the other; says "ready"
// transfer put ADDRESS PORT BYTES SEED  client to server
// transfer get ADDRESS PORT BYTES SEED  server to client
// A client prints "BYTES NANOSECONDS RETRANSMITTED ALGORITHM", the time from the established connection to the last octet.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 65536 };

struct order
{
    uint64_t get;
    uint64_t bytes;
    uint64_t seed;
};

static uint64_t s_chunk[CHUNK / 8], s_expected[CHUNK / 8];

static void fill(uint64_t *chunk, uint64_t *state)
{
    uint64_t x = *state;
    for (int i = 0; i < CHUNK / 8; i++)
    {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        chunk[i] = x;
    }
    *state = x;
}

static int fail(const char *what)
{
    fprintf(stderr, "transfer: %s: %s\n", what, errno != 0 ? strerror(errno) : "the stream ended early");
    return -1;
}

static int send_all(int fd, const void *data, size_t length)
{
    for (size_t done = 0; done < length;)
    {
        ssize_t n = send(fd, (const char *)data + done, length - done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fail("send");
        done += (size_t)n;
    }
    return 0;
}

static int receive_all(int fd, void *data, size_t length)
{
    for (size_t done = 0; done < length;)
    {
        errno = 0;
        ssize_t n = recv(fd, (char *)data + done, length - done, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fail("recv");
        done += (size_t)n;
    }
    return 0;
}

static int send_stream(int fd, const struct order *order)
{
    uint64_t state = order->seed | 1;
    for (uint64_t left = order->bytes; left > 0;)
    {
        size_t part = left < CHUNK ? (size_t)left : CHUNK;
        fill(s_chunk, &state);
        if (send_all(fd, s_chunk, part) != 0) return -1;
        left -= part;
    }
    return 0;
}

static int receive_stream(int fd, const struct order *order)
{
    uint64_t state = order->seed | 1;
    for (uint64_t left = order->bytes; left > 0;)
    {
        size_t part = left < CHUNK ? (size_t)left : CHUNK;
        fill(s_expected, &state);
        if (receive_all(fd, s_chunk, part) != 0) return -1;
        if (memcmp(s_chunk, s_expected, part) != 0)
        {
            fprintf(stderr, "transfer: other octets than sent, %llu before the end\n", (unsigned long long)left);
            return -1;
        }
        left -= part;
    }
    return 0;
}

static void serve_one(int fd)
{
    struct order order;
    if (receive_all(fd, &order, sizeof order) != 0) return;
    char verdict = '+';
    if (order.get)
    {
        if (send_stream(fd, &order) != 0 || receive_all(fd, &verdict, 1) != 0) return;
    }
    else if (receive_stream(fd, &order) != 0 || send_all(fd, &verdict, 1) != 0)
    {
        return;
    }

    // The count of the side that sent the stream.
    struct tcp_info info = { 0 };
    socklen_t length = sizeof info;
    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
    uint64_t repeated = info.tcpi_total_retrans;
    send_all(fd, &repeated, sizeof repeated);
}

static int serve(struct sockaddr_in *address)
{
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)address, sizeof *address) != 0 || listen(listener, 16) != 0) return fail("listen");
    puts("ready");
    fflush(stdout);
    for (;;)
    {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0 && errno != EINTR) return fail("accept");
        if (fd < 0) continue;
        serve_one(fd);
        close(fd);
    }
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int run_client(const struct sockaddr_in *address, const struct order *order)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0) return fail("connect");
    int64_t start = now_ns();
    char verdict = '+';
    if (send_all(fd, order, sizeof *order) != 0) return -1;
    if (order->get ? receive_stream(fd, order) : send_stream(fd, order) != 0 || receive_all(fd, &verdict, 1)) return -1;
    int64_t elapsed = now_ns() - start;
    struct tcp_info info = { 0 };
    socklen_t length = sizeof info;
    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
    char algorithm[16] = "?";
    length = sizeof algorithm - 1;
    getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, algorithm, &length);
    uint64_t repeated = 0;
    if ((order->get && send_all(fd, &verdict, 1)) || receive_all(fd, &repeated, sizeof repeated)) return -1;
    if (!order->get) repeated = info.tcpi_total_retrans;
    printf("%llu %lld %llu %s\n", (unsigned long long)order->bytes, (long long)elapsed,
        (unsigned long long)repeated, algorithm);
    close(fd);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 6) return fprintf(stderr, "usage: transfer serve|put|get ADDRESS PORT [BYTES SEED]\n"), 2;
    signal(SIGPIPE, SIG_IGN);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3])) };
    inet_pton(AF_INET, argv[2], &address.sin_addr);
    if (argc == 4) return serve(&address) == 0 ? 0 : 1;
    struct order order = { argv[1][0] == 'g', strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10) };
    return run_client(&address, &order) == 0 ? 0 : 1;
}
