// SPDX-License-Identifier: Apache-2.0
// The other host: does what datagrams tell it, one after the other.
#include "conformance.h"

#define SLOTS 64
#define BUFFER 65536

static int slots[SLOTS];
static size_t sent[SLOTS];
static size_t received[SLOTS];
static int control;

static long outcome(long result)
{
    return result < 0 ? -errno : result;
}

static void put(int slot, int fd)
{
    if (slots[slot] >= 0)
    {
        close(slots[slot]);
    }

    struct timeval limit = {.tv_sec = 15};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    slots[slot] = fd;
    sent[slot] = 0;
    received[slot] = 0;
}

static int stream(int slot)
{
    if (slots[slot] < 0)
    {
        put(slot, socket(AF_INET, SOCK_STREAM, 0));
    }

    return slots[slot];
}

static long do_listen(int slot, int port, int backlog)
{
    struct sockaddr_in address = address_of("0.0.0.0", port);
    int one = 1;
    int fd = stream(slot);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    return bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ? -errno : outcome(listen(fd, backlog));
}

static long do_accept(int slot, int made)
{
    int fd = accept(slots[slot], NULL, NULL);
    if (fd < 0)
    {
        return -errno;
    }

    put(made, fd);
    return 0;
}

static long do_connect(int slot, const char *host, int port)
{
    struct sockaddr_in address = address_of(host, port);
    long result = outcome(connect(stream(slot), (struct sockaddr *)&address, sizeof address));
    if (result < 0)
    {
        close(slots[slot]);
        slots[slot] = -1;
    }

    return result;
}

static long do_send(int slot, long count)
{
    uint8_t buffer[BUFFER];
    long done = 0;
    while (done < count)
    {
        size_t part = count - done < BUFFER ? (size_t)(count - done) : BUFFER;
        fill_pattern(buffer, part, sent[slot]);
        ssize_t taken = send(slots[slot], buffer, part, MSG_NOSIGNAL);
        if (taken < 0)
        {
            return -errno;
        }

        sent[slot] += (size_t)taken;
        done += taken;
    }

    return done;
}

// -EILSEQ: bytes arrived that were not sent.
static long do_receive(int slot, long count)
{
    uint8_t buffer[BUFFER];
    long done = 0;
    while (done < count)
    {
        ssize_t got = recv(slots[slot], buffer, count - done < BUFFER ? (size_t)(count - done) : BUFFER, 0);
        if (got <= 0)
        {
            return got < 0 ? -errno : done;
        }

        if (!is_pattern(buffer, (size_t)got, received[slot]))
        {
            return -EILSEQ;
        }

        received[slot] += (size_t)got;
        done += got;
    }

    return done;
}

static long do_echo(int slot, long count)
{
    uint8_t buffer[BUFFER];
    for (long left = count; left > 0;)
    {
        ssize_t got = recv(slots[slot], buffer, left < BUFFER ? (size_t)left : BUFFER, 0);
        if (got <= 0 || !is_pattern(buffer, (size_t)got, received[slot]))
        {
            return got < 0 ? -errno : got == 0 ? count - left : -EILSEQ;
        }

        received[slot] += (size_t)got;
        if (do_send(slot, got) != got)
        {
            return -EIO;
        }

        left -= got;
    }

    return count;
}

// One-byte requests, each sent when the answer to the one before has come.
static long do_requests(int slot, long count)
{
    for (long done = 0; done < count; done++)
    {
        if (do_send(slot, 1) != 1 || do_receive(slot, 1) != 1)
        {
            return -EIO;
        }
    }

    return count;
}

static long do_end(int slot, bool reset)
{
    if (reset)
    {
        struct linger linger = {.l_onoff = 1};
        setsockopt(slots[slot], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }

    long result = outcome(close(slots[slot]));
    slots[slot] = -1;
    return result;
}

static long clear_slots(void)
{
    for (int i = 0; i < SLOTS; i++)
    {
        if (slots[i] >= 0)
        {
            do_end(i, true);
        }
    }

    return 0;
}

static void give(long result, const struct sockaddr_in *to)
{
    char text[32];
    int length = snprintf(text, sizeof text, "%ld", result);
    sendto(control, text, (size_t)length, 0, (const struct sockaddr *)to, sizeof *to);
}

static long set_buffer(int slot, int bytes)
{
    return outcome(setsockopt(stream(slot), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes));
}

static long command(const char *text)
{
    char verb[16];
    char host[32];
    int slot = 0;
    long number = 0;
    int other = 0;
    if (sscanf(text, "%15s", verb) != 1 || strcmp(verb, "clear") == 0)
    {
        return clear_slots();
    }

    if (strcmp(verb, "connect") == 0)
    {
        return sscanf(text, "%*s %d %31s %d", &slot, host, &other) == 3 ? do_connect(slot, host, other) : -EINVAL;
    }

    int fields = sscanf(text, "%*s %d %ld %d", &slot, &number, &other);
    if (fields < 1 || slot < 0 || slot >= SLOTS)
    {
        return -EINVAL;
    }

    return strcmp(verb, "listen") == 0     ? do_listen(slot, (int)number, other)
           : strcmp(verb, "accept") == 0   ? do_accept(slot, (int)number)
           : strcmp(verb, "buffer") == 0   ? set_buffer(slot, (int)number)
           : strcmp(verb, "send") == 0     ? do_send(slot, number)
           : strcmp(verb, "receive") == 0  ? do_receive(slot, number)
           : strcmp(verb, "drain") == 0    ? do_receive(slot, INT64_MAX)
           : strcmp(verb, "requests") == 0 ? do_requests(slot, number)
           : strcmp(verb, "echo") == 0     ? do_echo(slot, number)
           : strcmp(verb, "shutdown") == 0 ? outcome(shutdown(slots[slot], (int)number))
           : strcmp(verb, "close") == 0    ? do_end(slot, false)
           : strcmp(verb, "reset") == 0    ? do_end(slot, true)
                                           : -ENOSYS;
}

void serve_commands(const char *address)
{
    struct sockaddr_in own = address_of(address, 9000);
    memset(slots, 0xff, sizeof slots);
    control = socket(AF_INET, SOCK_DGRAM, 0);
    EQUAL(bind(control, (struct sockaddr *)&own, sizeof own), 0);
    puts("ready");
    fflush(stdout);
    for (;;)
    {
        char text[256];
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t length = recvfrom(control, text, sizeof text - 1, 0, (struct sockaddr *)&from, &size);
        CHECK(length >= 0);
        text[length] = '\0';
        long delay;
        int skip = 0;
        if (sscanf(text, "later %ld %n", &delay, &skip) == 1)
        {
            // Answered twice: now, so that the caller goes on and blocks, and when it is done.
            give(0, &from);
            usleep((useconds_t)delay * 1000);
        }

        give(command(text + skip), &from);
    }
}
