// SPDX-License-Identifier: Apache-2.0
// splice(2) between a pipe and a connection of ours, through a buffer. Nothing leaves the source before the destination
// has taken it.
#include "preload.h"

#include <limits.h>
#include <unistd.h>

#define CHUNK 16384

static __thread int scratch[2] __attribute__((tls_model("initial-exec"))) = {-1, -1};

static pthread_key_t scratch_key;
static pthread_once_t scratch_key_once = PTHREAD_ONCE_INIT;

// A thread ends: its pipe goes with it.
static void close_scratch(void *unused)
{
    (void)unused;
    for (int i = 0; i < 2; i++)
    {
        if (descriptor_class(scratch[i]) == PRONGHORN_PRIVATE)
        {
            descriptor_set_class(scratch[i], PRONGHORN_NONE);
            real_close(scratch[i]);
        }

        scratch[i] = -1;
    }
}

static void make_scratch_key(void)
{
    pthread_key_create(&scratch_key, close_scratch);
}

static bool open_scratch(void)
{
    // After a fork the numbers may be another file's.
    if (scratch[0] >= 0 && descriptor_class(scratch[0]) == PRONGHORN_PRIVATE)
    {
        return true;
    }

    if (pipe2(scratch, O_CLOEXEC | O_NONBLOCK) != 0)
    {
        return false;
    }

    descriptor_set_class(scratch[0], PRONGHORN_PRIVATE);
    descriptor_set_class(scratch[1], PRONGHORN_PRIVATE);
    pthread_once(&scratch_key_once, make_scratch_key);
    pthread_setspecific(scratch_key, scratch);
    return true;
}

// What tee(2) copied into the scratch pipe has been looked at; the pipe itself keeps it until it is read away.
static ssize_t pipe_to_socket(int in, int out, size_t length, unsigned flags)
{
    char chunk[CHUNK];
    if (!open_scratch())
    {
        return -1;
    }

    ssize_t copied = tee(in, scratch[1], length < CHUNK ? length : CHUNK, flags & SPLICE_F_NONBLOCK);
    if (copied <= 0)
    {
        return copied;
    }

    ssize_t got = real_read(scratch[0], chunk, (size_t)copied);
    int how = ((flags & SPLICE_F_MORE) != 0 ? MSG_MORE : 0) | ((flags & SPLICE_F_NONBLOCK) != 0 ? MSG_DONTWAIT : 0);
    ssize_t sent = got > 0 ? socket_send(out, chunk, (size_t)got, how) : got;
    for (ssize_t gone = 0; gone < sent;)
    {
        ssize_t part = real_read(in, chunk, (size_t)(sent - gone));
        if (part <= 0)
        {
            break;
        }

        gone += part;
    }

    return sent;
}

static ssize_t socket_to_pipe(int in, int out, size_t length, unsigned flags)
{
    char chunk[CHUNK];
    struct pollfd room = {.fd = out, .events = POLLOUT};
    bool nonblocking = (flags & SPLICE_F_NONBLOCK) != 0 || (real_fcntl(out, F_GETFL, NULL) & O_NONBLOCK) != 0;
    ssize_t got = socket_receive(in, chunk, length < CHUNK ? length : CHUNK, MSG_PEEK);
    if (got <= 0)
    {
        return got;
    }

    if (nonblocking)
    {
        if (real_poll(&room, 1, 0) == 0)
        {
            errno = EAGAIN;
            return -1;
        }

        // So much fits without waiting when a pipe has room.
        got = got < PIPE_BUF ? got : PIPE_BUF;
    }

    ssize_t put = real_write(out, chunk, (size_t)got);
    if (put > 0)
    {
        socket_receive(in, chunk, (size_t)put, 0);
    }

    return put;
}

EXPORT ssize_t splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t length, unsigned flags)
{
    bool from = descriptor_is_socket(in);
    bool to = descriptor_is_socket(out);
    if (likely(!from && !to))
    {
        return real_splice(in, in_offset, out, out_offset, length, flags);
    }

    if ((from && in_offset != NULL) || (to && out_offset != NULL))
    {
        errno = ESPIPE;
        return -1;
    }

    if (from && to)
    {
        errno = EINVAL;
        return -1;
    }

    return length == 0 ? 0 : from ? socket_to_pipe(in, out, length, flags) : pipe_to_socket(in, out, length, flags);
}
