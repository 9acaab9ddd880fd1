// SPDX-License-Identifier: Apache-2.0
// A cable with faults, for a namespace between two hosts: takes frames from one interface to the other, both ways, and on
// the way loses, delays, reorders and paces them. The faults are drawn from a seed.
//
// Usage: wire INTERFACE INTERFACE NAME=VALUE...
//   loss, reorder   frames of a million that are lost, or arrive late so that others overtake them
//   delay, late     microseconds that each frame takes; that a reordered one takes in addition
//   rate            megabits a second (0: no limit), with a queue of 'queue' frames that drops what does not fit
//   seed            of the drawing
// The same NAME=VALUE words change it while it runs, a line of standard input each; "cut=1" loses everything. It says
// "ready" once it carries frames and answers each line by the line "ok FORWARDED LOST REORDERED OVERFLOWED".
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_SIZE = 2048, SLOTS = 8192, BATCH = 64 };

struct slot
{
    uint64_t due;
    uint32_t length;
    int32_t next;
    uint8_t data[FRAME_SIZE];
};

struct direction
{
    int in, out;
    uint64_t random;
    uint64_t line_free; // when the paced line has sent all that it took
    int32_t first;      // frames in the order of their due times
    int32_t last;
    uint32_t queued;
};

static struct slot s_slots[2 * SLOTS];
static int32_t s_free;
static struct direction s_ways[2];
static uint64_t s_loss, s_reorder, s_delay, s_late = 1000, s_rate, s_queue = 1000, s_cut, s_seed = 1;
static uint64_t s_forwarded, s_lost, s_reordered, s_overflowed;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t draw(struct direction *way)
{
    uint64_t x = way->random += 0x9e3779b97f4a7c15u; // splitmix64
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (x ^ (x >> 31)) % 1000000u;
}

static void die(const char *what)
{
    fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int open_interface(const char *name)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
    if (fd < 0) die("socket");
    int one = 1, big = 32 << 20;
    if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) != 0) die("PACKET_IGNORE_OUTGOING");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof big);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof big);
    struct packet_mreq all = { .mr_ifindex = (int)if_nametoindex(name), .mr_type = PACKET_MR_PROMISC };
    if (all.mr_ifindex == 0) die(name);
    if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) != 0) die("promiscuous");
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = all.mr_ifindex };
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) die("bind");
    return fd;
}

// Into its place by the due time; nearly always the end.
static void enqueue(struct direction *way, int32_t index)
{
    struct slot *slot = &s_slots[index];
    if (way->first < 0 || slot->due >= s_slots[way->last].due)
    {
        slot->next = -1;
        if (way->first < 0) way->first = index;
        else s_slots[way->last].next = index;
        way->last = index;
        return;
    }
    int32_t *link = &way->first;
    while (s_slots[*link].due <= slot->due) link = &s_slots[*link].next;
    slot->next = *link;
    *link = index;
}

static void take(struct direction *way, int32_t index, uint32_t length, uint64_t now)
{
    struct slot *slot = &s_slots[index];
    slot->length = length;
    slot->due = now + s_delay * 1000;
    if (s_rate != 0)
    {
        // Preamble, check sequence and gap are 24 octets.
        uint64_t start = way->line_free > now ? way->line_free : now;
        way->line_free = start + (length + 24) * 8000u / s_rate;
        slot->due += way->line_free - now;
    }
    if (s_reorder != 0 && draw(way) < s_reorder)
    {
        slot->due += s_late * 1000;
        s_reordered++;
    }
    way->queued++;
    enqueue(way, index);
}

static void release(int32_t index)
{
    s_slots[index].next = s_free;
    s_free = index;
}

static void receive(struct direction *way)
{
    for (int i = 0; i < BATCH && s_free >= 0; i++)
    {
        int32_t index = s_free;
        struct slot *slot = &s_slots[index];
        ssize_t length = recv(way->in, slot->data, FRAME_SIZE, MSG_TRUNC);
        if (length < 0) return;
        if (s_cut || (s_loss != 0 && draw(way) < s_loss))
        {
            s_lost++;
            continue;
        }
        uint64_t now = now_ns();
        uint64_t waiting = s_rate != 0 && way->line_free > now ? (way->line_free - now) * s_rate / (1538u * 8000u) : 0;
        if (length > FRAME_SIZE || waiting >= s_queue)
        {
            s_overflowed++;
            continue;
        }
        s_free = slot->next;
        take(way, index, (uint32_t)length, now);
    }
}

// Sends what is due. Returns when the next frame is.
static uint64_t forward(struct direction *way)
{
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    for (;;)
    {
        uint64_t now = now_ns();
        unsigned count = 0;
        for (int32_t i = way->first; i >= 0 && count < BATCH && s_slots[i].due <= now; i = s_slots[i].next)
        {
            parts[count] = (struct iovec){ s_slots[i].data, s_slots[i].length };
            messages[count] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &parts[count], .msg_iovlen = 1 } };
            count++;
        }
        if (count == 0) return way->first < 0 ? UINT64_MAX : s_slots[way->first].due;
        int sent = sendmmsg(way->out, messages, count, 0);
        if (sent <= 0)
        {
            if (errno == EAGAIN || errno == ENOBUFS) return now + 20000;
            if (errno != ENETDOWN && errno != ENXIO) die("send");
            sent = 1; // a link that is down loses it
        }
        s_forwarded += (uint64_t)sent;
        for (int i = 0; i < sent; i++)
        {
            int32_t index = way->first;
            way->first = s_slots[index].next;
            way->queued--;
            release(index);
        }
    }
}

static void set(const char *word)
{
    static const struct { const char *name; uint64_t *value; } names[] = {
        { "loss", &s_loss }, { "reorder", &s_reorder }, { "delay", &s_delay }, { "late", &s_late }, { "rate", &s_rate },
        { "queue", &s_queue }, { "cut", &s_cut }, { "seed", &s_seed } };
    const char *sign = strchr(word, '=');
    for (size_t i = 0; sign != NULL && i < sizeof names / sizeof *names; i++)
    {
        if (strncmp(names[i].name, word, (size_t)(sign - word)) == 0 && names[i].name[sign - word] == 0)
        {
            *names[i].value = strtoull(sign + 1, NULL, 10);
            if (names[i].value == &s_seed) s_ways[0].random = s_seed, s_ways[1].random = ~s_seed;
            return;
        }
    }
    fprintf(stderr, "wire: what is '%s'?\n", word);
    exit(2);
}

static void obey(void)
{
    char line[512];
    if (fgets(line, sizeof line, stdin) == NULL) exit(0);
    for (char *word = strtok(line, " \n"); word != NULL; word = strtok(NULL, " \n")) set(word);
    printf("ok %llu %llu %llu %llu\n", (unsigned long long)s_forwarded, (unsigned long long)s_lost,
        (unsigned long long)s_reordered, (unsigned long long)s_overflowed);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc < 3) return fprintf(stderr, "usage: wire INTERFACE INTERFACE NAME=VALUE...\n"), 2;
    prctl(PR_SET_TIMERSLACK, 1);
    setvbuf(stdin, NULL, _IOLBF, 0);
    for (int32_t i = 0; i < 2 * SLOTS; i++) s_slots[i].next = i + 1 < 2 * SLOTS ? i + 1 : -1;
    int a = open_interface(argv[1]), b = open_interface(argv[2]);
    s_ways[0] = (struct direction){ .in = a, .out = b, .first = -1, .last = -1 };
    s_ways[1] = (struct direction){ .in = b, .out = a, .first = -1, .last = -1 };
    set("seed=1");
    for (int i = 3; i < argc; i++) set(argv[i]);
    puts("ready");
    fflush(stdout);
    for (;;)
    {
        uint64_t due = forward(&s_ways[0]), other = forward(&s_ways[1]), now = now_ns();
        if (other < due) due = other;
        struct timespec wait = { 0 };
        if (due > now) wait = (struct timespec){ (time_t)((due - now) / 1000000000u), (long)((due - now) % 1000000000u) };
        struct pollfd fds[3] = { { a, POLLIN, 0 }, { b, POLLIN, 0 }, { 0, POLLIN, 0 } };
        if (ppoll(fds, 3, due == UINT64_MAX ? NULL : &wait, NULL) < 0 && errno != EINTR) die("ppoll");
        if (fds[0].revents) receive(&s_ways[0]);
        if (fds[1].revents) receive(&s_ways[1]);
        if (fds[2].revents) obey();
    }
}
