// SPDX-License-Identifier: Apache-2.0
// An ordinary program that knows nothing of Pronghorn. Each case says what Linux does; the tests run it on the kernel's
// stack and on Pronghorn's, with the same expectations.
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct conformance_case
{
    const char *name;
    void (*run)(void);
    struct conformance_case *next;
};

extern struct conformance_case *first_case;

#define CASE(title)                                                         \
    static void title(void);                                                \
    static struct conformance_case case_##title = {#title, title, NULL};    \
    __attribute__((constructor)) static void register_##title(void)         \
    {                                                                       \
        case_##title.next = first_case;                                     \
        first_case = &case_##title;                                         \
    }                                                                       \
    static void title(void)

void fail(const char *file, int line, const char *text, long got, long wanted);

#define CHECK(condition)                                                    \
    do                                                                      \
    {                                                                       \
        if (!(condition))                                                   \
        {                                                                   \
            fail(__FILE__, __LINE__, #condition, 0, 1);                     \
        }                                                                   \
    } while (0)

#define EQUAL(expression, wanted)                                           \
    do                                                                      \
    {                                                                       \
        errno = 0;                                                          \
        long got_ = (long)(expression);                                     \
        long wanted_ = (long)(wanted);                                      \
        if (got_ != wanted_)                                                \
        {                                                                   \
            fail(__FILE__, __LINE__, #expression, got_, wanted_);           \
        }                                                                   \
    } while (0)

#define FAILS(expression, error)                                            \
    do                                                                      \
    {                                                                       \
        errno = 0;                                                          \
        long result_ = (long)(expression);                                  \
        if (result_ != -1 || errno != (error))                              \
        {                                                                   \
            fail(__FILE__, __LINE__, #expression " fails", result_ == -1 ? errno : -result_, (error)); \
        }                                                                   \
    } while (0)

extern const char *own_address;  // of this host on the link
extern const char *peer_address; // of the other host
extern int base_port;            // four ports from here on are this case's
extern bool on_stack;            // whether connections are expected to be Pronghorn's

// The other host does as it is told, and answers with a number or minus an error number. %s of its commands:
//   listen SLOT PORT BACKLOG    accept SLOT NEWSLOT      connect SLOT ADDRESS PORT    buffer SLOT BYTES
//   send SLOT COUNT             receive SLOT COUNT       drain SLOT (until the end)   later MILLISECONDS COMMAND
//   shutdown SLOT HOW           close SLOT               reset SLOT                   echo SLOT COUNT
//   requests SLOT COUNT (of one byte, one after the other)
long peer(const char *format, ...) __attribute__((format(printf, 1, 2)));
long peer_result(void); // of the command that "later" carried
void serve_commands(const char *address);

struct sockaddr_in address_of(const char *host, int port);
int listening(int port);                // on 0.0.0.0
int accepted(int slot);                 // a connection that the peer made; its end is the slot
int connected(int slot);                // a connection that we made to the peer
void expect_path(int fd);               // that the connection is where it is expected
void fill_pattern(uint8_t *buffer, size_t length, size_t offset);
bool is_pattern(const uint8_t *buffer, size_t length, size_t offset);
void set_nonblocking(int fd);
int option(int fd, int level, int name);
short poll_one(int fd, short events, int timeout);
uint32_t wait_one(int epoll, int timeout); // the one event's mask, or 0
void watch(int epoll, int fd, uint32_t events);
void read_exactly(int fd, size_t count, size_t offset);
void write_exactly(int fd, size_t count, size_t offset);
void alarm_soon(int milliseconds, int flags); // SIGALRM with a handler that counts
extern volatile sig_atomic_t alarms;

#endif
