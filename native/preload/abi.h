// SPDX-License-Identifier: Apache-2.0
// What libpronghorn.so (C, preloaded) and libpronghorn-core.so (C#) say to each other.
// src/Pronghorn.Preload/Abi.cs mirrors this file; a change in either raises PRONGHORN_ABI.
#ifndef PRONGHORN_ABI_H
#define PRONGHORN_ABI_H

#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define PRONGHORN_ABI 6

// Answers beside -errno.
#define PRONGHORN_WAIT (-5000)   // the call would block and may: wait, then ask again
#define PRONGHORN_KERNEL (-5001) // not the core's affair: the real call decides
#define PRONGHORN_FALLBACK (-6000) // and less: the real call decides for want of something; beyond is -errno

// What a descriptor is to the trampolines. From PRONGHORN_SOCKET on, the core decides.
enum pronghorn_class
{
    PRONGHORN_NONE = 0,      // the kernel's, untouched
    PRONGHORN_CANDIDATE = 1, // an IPv4 stream socket that could still become ours
    PRONGHORN_LISTENING = 2, // a candidate that listens; becomes ours when the program looks at it
    PRONGHORN_EPOLL_KERNEL = 3, // an epoll set without a descriptor of ours
    PRONGHORN_SOCKET = 4,    // a socket of ours
    PRONGHORN_EPOLL = 5,     // an epoll set with a socket of ours in it
    PRONGHORN_PRIVATE = 6,   // a descriptor that the core uses itself: the program must not close it
};

#define PRONGHORN_MOST_HELD 128

// Counters that C keeps and the core publishes.
enum pronghorn_counter
{
    PRONGHORN_COUNT_CONTENDED,
    PRONGHORN_COUNT_REENTERED,
    PRONGHORN_COUNT_WATCHDOG,
    PRONGHORN_COUNT_BLOCKED,
    PRONGHORN_COUNT_FALLBACK,
    PRONGHORN_COUNTERS,
};

// Real calls for the core, all returning -errno.
struct pronghorn_kernel
{
    int64_t (*now)(void); // CLOCK_MONOTONIC, nanoseconds
    int (*bind)(int fd, const void *address, uint32_t length);
    int (*accept)(int fd, void *address, uint32_t *length, int flags);
    int (*get_name)(int fd, void *address, uint32_t *length);
    int (*get_option)(int fd, int level, int name, void *value, uint32_t *length);
    int (*set_option)(int fd, int level, int name, const void *value, uint32_t length);
    int (*control)(int fd, int command, int64_t argument);
    int (*close)(int fd);
    int (*placeholder)(void); // a new unconnected stream socket, class PRIVATE
    int (*epoll_control)(int epoll, int operation, int fd, uint32_t events, uint64_t data);
    int (*event_open)(void); // an eventfd, class PRIVATE
    int (*event_signal)(int fd);
    int (*connections_on)(uint32_t port); // established connections of the kernel on a local port
    void (*set_class)(int fd, int class);
    int (*get_class)(int fd);
    void (*tell)(const char *line, int lost); // one line for the user; lost: the stack cannot go on
};

struct pronghorn_start
{
    int32_t abi;
    int32_t descriptors;       // size of the descriptor table
    uint64_t internal_data;    // epoll data of the members that the core adds for itself
    uint32_t address;          // IPv4 address that the program binds or reaches, network order; 0 if any
    uint32_t is_peer;          // whether address is a peer's
    const char *interface;     // PRONGHORN_INTERFACE or null
    const struct pronghorn_kernel *kernel;
    const int64_t *counters;   // indexed by enum pronghorn_counter, kept by C
    char *error;               // receives what failed, a line feed, what to do; after a start, what is missing
    int32_t error_length;
    int32_t wait_descriptors[2]; // out: descriptors to wait on besides the program's, or -1
    int32_t held_count;        // out: descriptors that the core holds open
    int32_t held[PRONGHORN_MOST_HELD];
};

// One round of the poll loop.
struct pronghorn_round
{
    int64_t now;
    int64_t next_deadline;  // when the stack wants the next round, INT64_MAX for never
    int32_t received;       // frames taken from the device
    int32_t events;         // sockets that have something new
    uint32_t dispatched;    // running count of events, whoever's round found them
    int32_t unsent;         // after finish: connections that still have something to send
};

struct pronghorn_core
{
    void (*poll)(struct pronghorn_round *round);
    int64_t (*receive)(int fd, void *buffer, uint64_t length, int flags);
    int64_t (*receive_vector)(int fd, const struct iovec *vector, int count, uint64_t skip, int flags);
    int64_t (*send)(int fd, const void *buffer, uint64_t length, int flags, int flush);
    int64_t (*send_vector)(int fd, const struct iovec *vector, int count, uint64_t skip, int flags,
                           int flush);
    int (*adopt)(int fd);    // an unconnected candidate becomes ours
    int (*activate)(int fd); // a listening candidate becomes ours, or PRONGHORN_KERNEL
    int (*connect)(int fd, const void *address, uint32_t length, int resumed);
    int (*listen)(int fd, int backlog);
    int (*accept)(int fd, void *address, uint32_t *length, int flags);
    int (*shutdown)(int fd, int how);
    int (*close)(int fd, int final);
    int (*duplicate)(int fd, int copy);
    int (*get_name)(int fd, void *address, uint32_t *length, int peer);
    int (*get_option)(int fd, int level, int name, void *value, uint32_t *length);
    int (*set_option)(int fd, int level, int name, const void *value, uint32_t length);
    int (*get_flags)(int fd);
    int (*set_flags)(int fd, int flags);
    int (*ioctl)(int fd, uint64_t request, int *value);
    int64_t (*timeout)(int fd, int sending); // nanoseconds, or -1
    int (*epoll_control)(int epoll, int operation, int fd, struct epoll_event *event);
    int (*epoll_wait)(int epoll, struct epoll_event *events, int count, struct pronghorn_round *round);
    void (*epoll_block)(int epoll, int change);
    void (*epoll_nested)(int epoll); // another set, or select in the kernel, may watch this set
    int (*poll_descriptors)(struct pollfd *descriptors, uint64_t count, struct pronghorn_round *round);
    void (*poll_block)(int event, int change);
    void (*finish)(void);
    int64_t (*allocated_bytes)(void);
};

typedef int (*pronghorn_core_start_function)(struct pronghorn_start *start, struct pronghorn_core *core);

#endif
