// SPDX-License-Identifier: Apache-2.0
// Usage: conformance peer ADDRESS | conformance list | conformance run CASE OWN PEER PORT stack|kernel
#include "conformance.h"

#include <stdarg.h>

struct conformance_case *first_case;
const char *own_address;
const char *peer_address;
int base_port;
bool on_stack;
volatile sig_atomic_t alarms;
static int control = -1;

void fail(const char *file, int line, const char *text, long got, long wanted)
{
    fprintf(stderr, "%s:%d: %s: got %ld, wanted %ld (errno %d %s)\n", file, line, text, got, wanted, errno,
            strerror(errno));
    _exit(1);
}

struct sockaddr_in address_of(const char *host, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    CHECK(inet_pton(AF_INET, host, &address.sin_addr) == 1);
    return address;
}

static long answer(void)
{
    char text[64];
    ssize_t length = recv(control, text, sizeof text - 1, 0);
    CHECK(length > 0);
    text[length] = '\0';
    return strtol(text, NULL, 10);
}

long peer(const char *format, ...)
{
    char text[200];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    EQUAL(send(control, text, (size_t)length, 0), length);
    return answer();
}

long peer_result(void)
{
    return answer();
}

static void open_control(void)
{
    struct sockaddr_in to = address_of(peer_address, 9000);
    struct timeval limit = {.tv_sec = 20};
    control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(control >= 0);
    EQUAL(setsockopt(control, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    EQUAL(connect(control, (struct sockaddr *)&to, sizeof to), 0);
    EQUAL(peer("clear"), 0);
}

int listening(int port)
{
    struct sockaddr_in address = address_of("0.0.0.0", port);
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    EQUAL(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
    EQUAL(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    EQUAL(listen(fd, 16), 0);
    return fd;
}

static bool is_listed(const char *path, unsigned own, unsigned other)
{
    char line[512];
    bool found = false;
    FILE *file = fopen(path, "r");
    CHECK(file != NULL);
    while (fgets(line, sizeof line, file) != NULL)
    {
        unsigned local;
        unsigned remote;
        found |= sscanf(line, "%*d: %*[0-9A-F]:%x %*[0-9A-F]:%x", &local, &remote) == 2 && local == own
                 && remote == other;
    }

    fclose(file);
    return found;
}

// The kernel lists its connections; ours are not among them.
void expect_path(int fd)
{
    struct sockaddr_in6 name;
    socklen_t length = sizeof name;
    EQUAL(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    unsigned own = ntohs(name.sin6_port); // where sin_port is, too
    length = sizeof name;
    EQUAL(getpeername(fd, (struct sockaddr *)&name, &length), 0);
    unsigned other = ntohs(name.sin6_port);
    EQUAL(is_listed("/proc/self/net/tcp", own, other) || is_listed("/proc/self/net/tcp6", own, other), !on_stack);
}

int accepted(int slot)
{
    static int listener = -1;
    if (listener < 0)
    {
        listener = listening(base_port);
        // The program looks at its listener before peers come, as a server does.
        EQUAL(poll_one(listener, POLLIN, 0), 0);
    }

    EQUAL(peer("connect %d %s %d", slot, own_address, base_port), 0);
    int fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    expect_path(fd);
    return fd;
}

int connected(int slot)
{
    static bool listens;
    struct sockaddr_in to = address_of(peer_address, base_port + 1);
    if (!listens)
    {
        listens = true;
        EQUAL(peer("listen 15 %d 16", base_port + 1), 0);
    }

    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    EQUAL(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    EQUAL(peer("accept 15 %d", slot), 0);
    expect_path(fd);
    return fd;
}

void fill_pattern(uint8_t *buffer, size_t length, size_t offset)
{
    for (size_t i = 0; i < length; i++)
    {
        size_t at = offset + i;
        buffer[i] = (uint8_t)(at * 31 + (at >> 8) * 7 + (at >> 16));
    }
}

bool is_pattern(const uint8_t *buffer, size_t length, size_t offset)
{
    uint8_t wanted;
    for (size_t i = 0; i < length; i++)
    {
        fill_pattern(&wanted, 1, offset + i);
        if (buffer[i] != wanted)
        {
            return false;
        }
    }

    return true;
}

void set_nonblocking(int fd)
{
    EQUAL(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK), 0);
}

int option(int fd, int level, int name)
{
    int value = 0;
    socklen_t length = sizeof value;
    EQUAL(getsockopt(fd, level, name, &value, &length), 0);
    return value;
}

short poll_one(int fd, short events, int timeout)
{
    struct pollfd one = {.fd = fd, .events = events};
    int ready = poll(&one, 1, timeout);
    CHECK(ready >= 0);
    CHECK(ready == (one.revents != 0));
    return one.revents;
}

uint32_t wait_one(int epoll, int timeout)
{
    struct epoll_event event;
    int ready = epoll_wait(epoll, &event, 1, timeout);
    CHECK(ready >= 0);
    return ready == 0 ? 0 : event.events;
}

void watch(int epoll, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    EQUAL(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
}

void read_exactly(int fd, size_t count, size_t offset)
{
    uint8_t buffer[16384];
    while (count > 0)
    {
        ssize_t got = read(fd, buffer, count < sizeof buffer ? count : sizeof buffer);
        CHECK(got > 0);
        CHECK(is_pattern(buffer, (size_t)got, offset));
        offset += (size_t)got;
        count -= (size_t)got;
    }
}

void write_exactly(int fd, size_t count, size_t offset)
{
    uint8_t buffer[16384];
    while (count > 0)
    {
        size_t part = count < sizeof buffer ? count : sizeof buffer;
        fill_pattern(buffer, part, offset);
        ssize_t sent = write(fd, buffer, part);
        CHECK(sent > 0);
        offset += (size_t)sent;
        count -= (size_t)sent;
    }
}

static void note_alarm(int number)
{
    (void)number;
    alarms++;
}

void alarm_soon(int milliseconds, int flags)
{
    struct sigaction action = {.sa_handler = note_alarm, .sa_flags = flags};
    struct itimerval timer = {.it_value = {.tv_usec = milliseconds * 1000}};
    EQUAL(sigaction(SIGALRM, &action, NULL), 0);
    EQUAL(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static void *give_up(void *unused)
{
    (void)unused;
    struct timespec limit = {.tv_sec = 25};
    nanosleep(&limit, NULL);
    static const char text[] = "the case hangs\n";
    ssize_t ignored = write(2, text, sizeof text - 1);
    (void)ignored;
    _exit(2);
}

static int run(char **arguments)
{
    own_address = arguments[1];
    peer_address = arguments[2];
    base_port = atoi(arguments[3]);
    on_stack = strcmp(arguments[4], "stack") == 0;
    for (struct conformance_case *item = first_case; item != NULL; item = item->next)
    {
        if (strcmp(item->name, arguments[0]) == 0)
        {
            // A safety net, without a signal that the case could notice.
            pthread_t thread;
            sigset_t all;
            sigset_t saved;
            sigfillset(&all);
            pthread_sigmask(SIG_SETMASK, &all, &saved);
            pthread_create(&thread, NULL, give_up, NULL);
            pthread_sigmask(SIG_SETMASK, &saved, NULL);
            open_control();
            item->run();
            puts("ok");
            fflush(stdout);
            _exit(0);
        }
    }

    fprintf(stderr, "no case %s\n", arguments[0]);
    return 2;
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[1], "peer") == 0)
    {
        serve_commands(arguments[2]);
    }

    if (count == 2 && strcmp(arguments[1], "list") == 0)
    {
        for (struct conformance_case *item = first_case; item != NULL; item = item->next)
        {
            puts(item->name);
        }

        return 0;
    }

    return count == 7 && strcmp(arguments[1], "run") == 0 ? run(arguments + 2) : 2;
}
