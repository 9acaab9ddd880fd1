// SPDX-License-Identifier: Apache-2.0
/*
 * Both ends of the service benchmark's TCP traffic, in C so that the client costs as little as it can:
 *   serve FIRST-PORT COUNT                      answers each byte with a byte, until killed
 *   connect SECONDS THREADS ADDRESS:PORT,...    connect, one byte each way, reset: again and again
 *   request SECONDS THREADS ADDRESS:PORT,...    one byte each way on connections that stay
 *   watch SECONDS ADDRESS:PORT                  tries to connect until a byte comes back; tells when that was
 * Results are one line: operations, failures, seconds, then the median and the 99th percentile in microseconds.
 * A thread takes its targets in turn. watch prints the time of CLOCK_MONOTONIC in nanoseconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAXIMUM_TARGETS 64
#define MAXIMUM_THREADS 64
#define BUCKETS 20000
#define BUCKET_NS 1000
#define EVENTS 256
#define PATIENCE_MS 50
#define NS_PER_SECOND 1000000000ull

struct worker {
    pthread_t thread;
    unsigned first;
    _Atomic uint64_t operations;
    _Atomic uint64_t failures;
    uint32_t buckets[BUCKETS];
};

static struct sockaddr_in targets[MAXIMUM_TARGETS];
static unsigned target_count;
static atomic_int stopped;
static struct worker workers[MAXIMUM_THREADS];

static uint64_t now_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * NS_PER_SECOND + (uint64_t)time.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static int parse_targets(char *list)
{
    for (char *rest, *one = strtok_r(list, ",", &rest); one; one = strtok_r(NULL, ",", &rest)) {
        struct sockaddr_in *target = &targets[target_count];
        char *port = strrchr(one, ':');

        if (!port || target_count == MAXIMUM_TARGETS)
            return 0;
        *port++ = 0;
        target->sin_family = AF_INET;
        target->sin_port = htons((uint16_t)atoi(port));
        if (inet_pton(AF_INET, one, &target->sin_addr) != 1)
            return 0;
        target_count++;
    }
    return target_count > 0;
}

static void listen_on(int events, uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct epoll_event event = { .events = EPOLLIN };
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    event.data.u64 = (uint64_t)listener << 1 | 1;
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(listener, 4096) != 0 ||
        epoll_ctl(events, EPOLL_CTL_ADD, listener, &event) != 0)
        fail("listen");
}

static void accept_all(int events, int listener)
{
    for (;;) {
        struct epoll_event event = { .events = EPOLLIN };
        int one = 1, accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (accepted < 0)
            return;
        setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        event.data.u64 = (uint64_t)accepted << 1;
        if (epoll_ctl(events, EPOLL_CTL_ADD, accepted, &event) != 0)
            close(accepted);
    }
}

static void answer(int descriptor)
{
    char byte[16];
    ssize_t length = read(descriptor, byte, sizeof(byte));

    if (length > 0 && write(descriptor, byte, (size_t)length) == length)
        return;
    if (length < 0 && errno == EAGAIN)
        return;
    close(descriptor);
}

static _Noreturn void serve(int first, int count)
{
    struct epoll_event ready[EVENTS];
    int events = epoll_create1(EPOLL_CLOEXEC);

    if (events < 0)
        fail("epoll_create1");
    for (int port = first; port < first + count; port++)
        listen_on(events, (uint16_t)port);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int found = epoll_wait(events, ready, EVENTS, -1);

        for (int i = 0; i < found; i++) {
            int descriptor = (int)(ready[i].data.u64 >> 1);

            if (ready[i].data.u64 & 1)
                accept_all(events, descriptor);
            else
                answer(descriptor);
        }
    }
}

static void note(struct worker *worker, uint64_t began, int succeeded)
{
    uint64_t bucket = (now_ns() - began) / BUCKET_NS;

    if (!succeeded) {
        worker->failures++;
        return;
    }
    worker->operations++;
    worker->buckets[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

static int exchange(int descriptor)
{
    char byte = 'p';

    return send(descriptor, &byte, 1, MSG_NOSIGNAL) == 1 && recv(descriptor, &byte, 1, 0) == 1;
}

static int open_to(unsigned turn, int reset)
{
    struct linger linger = { .l_onoff = 1, .l_linger = 0 };
    struct sockaddr_in *target = &targets[turn % target_count];
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (descriptor < 0)
        return -1;
    if (reset)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    if (connect(descriptor, (struct sockaddr *)target, sizeof(*target)) == 0)
        return descriptor;
    close(descriptor);
    return -1;
}

static void *connect_again_and_again(void *argument)
{
    struct worker *worker = argument;

    for (unsigned turn = worker->first; !stopped; turn++) {
        uint64_t began = now_ns();
        int descriptor = open_to(turn, 1);
        int succeeded = descriptor >= 0 && exchange(descriptor);

        if (descriptor >= 0)
            close(descriptor);
        note(worker, began, succeeded);
    }
    return NULL;
}

static void *request_again_and_again(void *argument)
{
    struct worker *worker = argument;
    int one = 1, descriptor = open_to(worker->first, 1);

    if (descriptor >= 0)
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    while (!stopped) {
        uint64_t began = now_ns();
        int succeeded = descriptor >= 0 && exchange(descriptor);

        note(worker, began, succeeded);
        if (!succeeded)
            break;
    }
    if (descriptor >= 0)
        close(descriptor);
    return NULL;
}

static double percentile(unsigned count, double part)
{
    uint64_t total = 0, seen = 0;

    for (unsigned i = 0; i < count; i++)
        total += workers[i].operations;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        for (unsigned i = 0; i < count; i++)
            seen += workers[i].buckets[bucket];
        if (total > 0 && (double)seen >= part * (double)total)
            return (double)(bucket + 1) * BUCKET_NS / 1000;
    }
    return 0;
}

static int run(void *(*work)(void *), double seconds, unsigned count)
{
    uint64_t operations = 0, failures = 0, began, ended;

    began = now_ns();
    for (unsigned i = 0; i < count; i++) {
        workers[i].first = i * target_count / count;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            fail("pthread_create");
    }
    usleep((useconds_t)(seconds * 1e6));
    ended = now_ns();
    for (unsigned i = 0; i < count; i++) {
        operations += workers[i].operations;
        failures += workers[i].failures;
    }
    stopped = 1;
    /* A thread that waits for an answer that never comes is not waited for. */
    printf("%llu %llu %.6f %.1f %.1f\n", (unsigned long long)operations, (unsigned long long)failures,
           (double)(ended - began) / 1e9, percentile(count, 0.5), percentile(count, 0.99));
    fflush(stdout);
    _exit(0);
}

static int answers_within(int descriptor, int milliseconds)
{
    struct pollfd waiting = { .fd = descriptor, .events = POLLIN };
    char byte = 'p';

    return send(descriptor, &byte, 1, MSG_NOSIGNAL) == 1 && poll(&waiting, 1, milliseconds) == 1 &&
           recv(descriptor, &byte, 1, 0) == 1;
}

static int try_once(void)
{
    struct timespec patience = { .tv_nsec = 300000 };
    struct linger linger = { .l_onoff = 1, .l_linger = 0 };
    int error = 0, succeeded = 0, descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct pollfd waiting = { .fd = descriptor, .events = POLLOUT };
    socklen_t length = sizeof(error);

    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    if ((connect(descriptor, (struct sockaddr *)&targets[0], sizeof(targets[0])) == 0 || errno == EINPROGRESS) &&
        ppoll(&waiting, 1, &patience, NULL) == 1 &&
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0)
        succeeded = answers_within(descriptor, PATIENCE_MS);
    close(descriptor);
    return succeeded;
}

static int watch(double seconds)
{
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);

    puts("watching");
    fflush(stdout);
    while (now_ns() < end) {
        if (try_once()) {
            printf("%llu\n", (unsigned long long)now_ns());
            return 0;
        }
        /* A refusal comes at once; what is to change the rules needs a processor, too. */
        usleep(20);
    }
    fputs("no answer in time\n", stderr);
    return 1;
}

static int usage(void)
{
    fputs("usage: serve FIRST-PORT COUNT | connect|request SECONDS THREADS ADDRESS:PORT,... | watch SECONDS ADDRESS:PORT\n", stderr);
    return 2;
}

int main(int count, char **words)
{
    struct rlimit files = { .rlim_cur = 65536, .rlim_max = 65536 };
    unsigned threads;

    signal(SIGPIPE, SIG_IGN);
    setrlimit(RLIMIT_NOFILE, &files);
    if (count < 4)
        return usage();
    if (strcmp(words[1], "serve") == 0)
        serve(atoi(words[2]), atoi(words[3]));
    if (!parse_targets(words[count - 1]))
        return usage();
    if (strcmp(words[1], "watch") == 0)
        return watch(atof(words[2]));
    threads = (unsigned)atoi(words[3]);
    if (count != 5 || threads < 1 || threads > MAXIMUM_THREADS)
        return usage();
    if (strcmp(words[1], "connect") == 0)
        return run(connect_again_and_again, atof(words[2]), threads);
    if (strcmp(words[1], "request") == 0)
        return run(request_again_and_again, atof(words[2]), threads);
    return usage();
}
