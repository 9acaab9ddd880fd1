// SPDX-License-Identifier: Apache-2.0
// The real calls as the core wants them: by -errno.
#include "preload.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static int outcome(long result)
{
    return result < 0 ? -errno : (int)result;
}

static int kernel_bind(int fd, const void *address, uint32_t length)
{
    return outcome(bind(fd, address, length));
}

static int kernel_accept(int fd, void *address, uint32_t *length, int flags)
{
    return outcome(real_accept4(fd, (struct sockaddr *)address, length, flags));
}

static int kernel_get_name(int fd, void *address, uint32_t *length)
{
    return outcome(real_getsockname(fd, (struct sockaddr *)address, length));
}

static int kernel_get_option(int fd, int level, int name, void *value, uint32_t *length)
{
    return outcome(real_getsockopt(fd, level, name, value, length));
}

static int kernel_set_option(int fd, int level, int name, const void *value, uint32_t length)
{
    return outcome(real_setsockopt(fd, level, name, value, length));
}

static int kernel_control(int fd, int command, int64_t argument)
{
    return outcome(real_fcntl64(fd, command, (void *)(intptr_t)argument));
}

static int kernel_close(int fd)
{
    descriptor_set_class(fd, PRONGHORN_NONE);
    return outcome(real_close(fd));
}

static int kernel_placeholder(void)
{
    int fd = real_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
    {
        descriptor_set_class(fd, PRONGHORN_PRIVATE);
    }

    return outcome(fd);
}

static int kernel_epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};
    int result = outcome(real_epoll_ctl(epoll, operation, fd, &event));
    if (result == 0 && !is_internal(&event))
    {
        epoll_note_member(epoll, operation);
    }

    return result;
}

static int kernel_event_open(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd >= 0)
    {
        descriptor_set_class(fd, PRONGHORN_PRIVATE);
    }

    return outcome(fd);
}

static int kernel_event_signal(int fd)
{
    uint64_t one = 1;
    return outcome(real_write(fd, &one, sizeof one));
}

// Lines of /proc/net/tcp: "sl local:port remote:port state ...", numbers in hexadecimal; state 01 to 0B, 0A listens.
static int count_in(const char *path, uint32_t port)
{
    FILE *file = fopen(path, "re");
    char line[512];
    int found = 0;
    if (file == NULL)
    {
        return 0;
    }

    while (fgets(line, sizeof line, file) != NULL)
    {
        unsigned local;
        unsigned state;
        if (sscanf(line, "%*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", &local, &state) == 2 && local == port
            && state != 0x0a && state != 0x06)
        {
            found++;
        }
    }

    fclose(file);
    return found;
}

static int kernel_connections_on(uint32_t port)
{
    return count_in("/proc/self/net/tcp", port) + count_in("/proc/self/net/tcp6", port);
}

const struct pronghorn_kernel kernel_calls = {
    .now = now_ns,
    .bind = kernel_bind,
    .accept = kernel_accept,
    .get_name = kernel_get_name,
    .get_option = kernel_get_option,
    .set_option = kernel_set_option,
    .control = kernel_control,
    .close = kernel_close,
    .placeholder = kernel_placeholder,
    .epoll_control = kernel_epoll_control,
    .event_open = kernel_event_open,
    .event_signal = kernel_event_signal,
    .connections_on = kernel_connections_on,
    .set_class = descriptor_set_class,
    .get_class = descriptor_class,
    .tell = core_tell,
};
