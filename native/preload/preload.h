// SPDX-License-Identifier: Apache-2.0
// Shared by the files of the preloaded library.
#ifndef PRONGHORN_PRELOAD_H
#define PRONGHORN_PRELOAD_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include "abi.h"

#define EXPORT __attribute__((visibility("default")))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

// libc's functions. Until they are looked up each points to a stub that does that first, since other
// libraries' constructors may call us before our own ran.
#define TRAMPOLINE(type, name, parameters, arguments, descriptor, ours) extern type(*real_##name) parameters;
#define TRAMPOLINE_ALL TRAMPOLINE
#define SPECIAL(type, name, parameters, arguments) extern type(*real_##name) parameters;
#include "interposers.def"
#undef TRAMPOLINE
#undef TRAMPOLINE_ALL
#undef SPECIAL
void real_resolve(void);

// descriptors.c: what each descriptor is. Beyond the table everything is the kernel's.
extern uint8_t *descriptor_classes;
extern unsigned descriptor_count;

static inline int descriptor_class(int fd)
{
    return likely((unsigned)fd < descriptor_count) ? descriptor_classes[fd] : PRONGHORN_NONE;
}

static inline bool descriptor_is_kernel(int fd)
{
    return descriptor_class(fd) == PRONGHORN_NONE;
}

static inline bool descriptor_is_socket(int fd)
{
    return descriptor_class(fd) == PRONGHORN_SOCKET;
}

void descriptor_table_open(void);
void descriptor_set_class(int fd, int class);
int descriptor_close(int fd);
int descriptor_dup(int fd);
void descriptor_forget_all(void);

// core.c: the C# half.
extern struct pronghorn_core core;
extern const struct pronghorn_kernel kernel_calls;
extern int core_wait_descriptors[2];
extern char core_internal_data;
bool core_running(void);
bool core_possible(void);
bool core_ensure(uint32_t address, bool is_peer);
void core_disable(void);
void core_hold_start(void);
void core_release_start(void);
void core_note_fallback(int error);
void core_tell(const char *line, int lost);
void core_close_in_child(void);

static inline bool is_internal(const struct epoll_event *event)
{
    return event->data.u64 == (uint64_t)(uintptr_t)&core_internal_data;
}

// lock.c: one thread at a time is in the core.
extern __thread int thread_depth;
extern __thread bool thread_known;
void watchdog_note_thread(void);
extern __thread int thread_cancellation; // the thread's own cancelability while it is in the core
extern __thread int thread_unflushed; // sends since this thread last waited for events
void lock_take(void);
void lock_release(void);
void lock_reset_in_child(void);
extern atomic_llong counters[PRONGHORN_COUNTERS];
void count(enum pronghorn_counter counter);

// Enters the core. False inside a signal handler that interrupted the core on the same thread.
static inline bool core_enter(void)
{
    if (unlikely(thread_depth != 0))
    {
        count(PRONGHORN_COUNT_REENTERED);
        return false;
    }

    if (unlikely(!thread_known))
    {
        watchdog_note_thread();
    }

    // A thread that is cancelled inside would keep the lock: it is cancelled where it sleeps outside.
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &thread_cancellation);
    thread_depth = 1;
    atomic_signal_fence(memory_order_seq_cst);
    lock_take();
    return true;
}

static inline void core_leave(void)
{
    lock_release();
    atomic_signal_fence(memory_order_seq_cst);
    thread_depth = 0;
    pthread_setcancelstate(thread_cancellation, NULL);
}

// Turns -errno into libc's convention; keeps errno on success.
static inline long finish_call(long result, int saved_errno)
{
    if (result < 0)
    {
        errno = (int)-result;
        return -1;
    }

    errno = saved_errno;
    return result;
}

static inline void pause_processor(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static inline int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

#define NEVER INT64_MAX

static inline int64_t deadline_after(int64_t duration)
{
    int64_t now;
    if (duration < 0)
    {
        return NEVER;
    }

    now = now_ns();
    return duration > NEVER - now ? NEVER : now + duration;
}

// wait.c: waiting outside the core.
#define WAIT_SLOTS 3 // room that a caller leaves behind its pollfds

struct waiting
{
    int64_t deadline;       // NEVER or CLOCK_MONOTONIC ns
    struct pollfd *fds;     // kernel descriptors, with WAIT_SLOTS free entries behind them
    nfds_t count;
    const sigset_t *mask;   // for the time of blocking, or null
    bool restarts;          // whether a handler with SA_RESTART leaves the call waiting (signal(7))
    unsigned rounds;
    bool guarded;           // signals are blocked outside the sleep; mask is then the program's own
    sigset_t own_mask;
    void *memory;           // freed when the thread is cancelled in its sleep, or null
    int kernel_ready;       // out: how many of fds have revents
};

int wait_round(struct waiting *waiting);
void wait_guard(struct waiting *waiting);   // from here on a signal that comes is not missed before the sleep
void wait_unguard(struct waiting *waiting);
int wait_block(struct waiting *waiting, int64_t next_deadline);
int64_t wait_spin_time(void);
int64_t wait_kernel_interval(void);
void wait_configure(void);
void wait_note_blocked(int change);
int wait_blocked_count(void);

// Hand-written parts behind the table.
ssize_t socket_receive(int fd, void *buffer, size_t length, int flags);
ssize_t socket_receive_vector(int fd, const struct iovec *vector, int count, int flags);
ssize_t socket_read_vector(int fd, const struct iovec *vector, int count);
ssize_t socket_receive_from(int fd, void *buffer, size_t length, int flags, socklen_t *size);
ssize_t socket_receive_message(int fd, struct msghdr *message, int flags);
int socket_receive_messages(int fd, struct mmsghdr *messages, unsigned count, int flags);
ssize_t socket_send(int fd, const void *buffer, size_t length, int flags);
ssize_t socket_send_vector(int fd, const struct iovec *vector, int count, int flags);
ssize_t socket_send_message(int fd, const struct msghdr *message, int flags);
int socket_send_messages(int fd, struct mmsghdr *messages, unsigned count, int flags);
ssize_t socket_send_file(int out, int in, off_t *offset, size_t count);
int socket_connect(int fd, const struct sockaddr *address, socklen_t length);
int socket_accept(int fd, struct sockaddr *address, socklen_t *length, int flags);
int socket_shutdown(int fd, int how);
int socket_name(int fd, struct sockaddr *address, socklen_t *length, int peer);
int socket_get_option(int fd, int level, int name, void *value, socklen_t *length);
int socket_set_option(int fd, int level, int name, const void *value, socklen_t length);
bool socket_activate(int fd); // a listening candidate becomes ours or the kernel's; true if ours
bool socket_adopt(int fd);    // an unconnected candidate becomes ours; true if it did
int poll_mixed(struct pollfd *fds, nfds_t count, int64_t deadline, const sigset_t *mask);
void epoll_note_copy(int fd, int copy);
void epoll_note_member(int epoll, int operation); // a descriptor of the kernel's side enters or leaves a real set
bool poll_has_ours(const struct pollfd *fds, nfds_t count);
void require_room(size_t length, size_t room);

// watchdog.c, fork.c
void watchdog_start(void);
void watchdog_note_running(void);
void watchdog_forget_in_child(void);
void fork_prepare_handlers(void);
bool in_shared_memory_child(void); // between vfork and exec

#endif
