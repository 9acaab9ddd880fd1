// SPDX-License-Identifier: Apache-2.0
// Receiving from and sending to sockets of ours.
#include "preload.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

// A thread that keeps an event loop sends its answers when it comes back to wait; any other sends at once.
#define SENDS_WITHOUT_WAITING 1024
#define FILE_CHUNK 16384

void require_room(size_t length, size_t room)
{
    if (length > room)
    {
        static const char text[] = "*** buffer overflow detected ***: terminated\n";
        ssize_t ignored = real_write(STDERR_FILENO, text, sizeof text - 1);
        (void)ignored;
        abort();
    }
}

static struct waiting waiting_for(int fd, int sending, struct pollfd *slots)
{
    return (struct waiting){.deadline = deadline_after(core.timeout(fd, sending)), .fds = slots, .restarts = true};
}

static int wait_error(int failure)
{
    return failure == -ETIMEDOUT ? -EAGAIN : failure;
}

// The rest of a call that could not finish at once. total: bytes moved so far.
static int64_t receive_waiting(int fd, const struct iovec *vector, int count, uint64_t total, int flags,
                               struct waiting *waiting)
{
    for (;;)
    {
        int64_t got = core.receive_vector(fd, vector, count, total, flags);
        if (got > 0)
        {
            total += (uint64_t)got;
            if ((flags & (MSG_WAITALL | MSG_PEEK)) != MSG_WAITALL)
            {
                return (int64_t)total;
            }

            continue;
        }

        if (got != PRONGHORN_WAIT)
        {
            return total > 0 ? (int64_t)total : got;
        }

        if (!waiting->guarded)
        {
            wait_guard(waiting);
        }

        int failure = wait_round(waiting);
        if (failure < 0)
        {
            return total > 0 ? (int64_t)total : wait_error(failure);
        }
    }
}

static int64_t receive_rest(int fd, const struct iovec *vector, int count, uint64_t total, int flags)
{
    struct pollfd slots[WAIT_SLOTS];
    struct waiting waiting = waiting_for(fd, 0, slots);
    int64_t got = receive_waiting(fd, vector, count, total, flags, &waiting);
    wait_unguard(&waiting);
    return got;
}

static uint64_t vector_length(const struct iovec *vector, int count)
{
    uint64_t total = 0;
    for (int i = 0; i < count; i++)
    {
        total += vector[i].iov_len;
    }

    return total;
}

// What import_iovec of the kernel looks at. 0 or an error number; a buffer that is not there
// is told before it is used (MSG_TRUNC of tcp(7) needs none).
static int vector_error(const struct iovec *vector, size_t count, int flags, int too_many)
{
    if (count > IOV_MAX)
    {
        return too_many;
    }

    if (count > 0 && vector == NULL)
    {
        return EFAULT;
    }

    for (size_t i = 0; i < count; i++)
    {
        if (unlikely((ssize_t)vector[i].iov_len < 0))
        {
            return EINVAL;
        }

        if (unlikely(vector[i].iov_base == NULL && vector[i].iov_len > 0 && (flags & MSG_TRUNC) == 0))
        {
            return EFAULT;
        }
    }

    return 0;
}

static ssize_t refuse(int error)
{
    errno = error;
    return -1;
}

static bool wants_all(int flags, int64_t got, uint64_t length)
{
    return (flags & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL && got > 0 && (uint64_t)got < length;
}

ssize_t socket_receive(int fd, void *buffer, size_t length, int flags)
{
    int saved_errno = errno;
    if (unlikely(buffer == NULL && length > 0 && (flags & MSG_TRUNC) == 0))
    {
        return refuse(EFAULT);
    }

    pthread_testcancel();
    if (!core_enter())
    {
        errno = EAGAIN;
        return -1;
    }

    int64_t got = core.receive(fd, buffer, length, flags);
    if (unlikely(got == PRONGHORN_WAIT || wants_all(flags, got, length)))
    {
        struct iovec vector = {.iov_base = buffer, .iov_len = length};
        got = receive_rest(fd, &vector, 1, got > 0 ? (uint64_t)got : 0, flags);
    }

    core_leave();
    return finish_call(got, saved_errno);
}

ssize_t socket_receive_vector(int fd, const struct iovec *vector, int count, int flags)
{
    int saved_errno = errno;
    int error = vector_error(vector, (size_t)count, flags, EINVAL);
    if (unlikely(error != 0))
    {
        return refuse(error);
    }

    pthread_testcancel();
    if (!core_enter())
    {
        errno = EAGAIN;
        return -1;
    }

    int64_t got = core.receive_vector(fd, vector, count, 0, flags);
    if (unlikely(got == PRONGHORN_WAIT || wants_all(flags, got, vector_length(vector, count))))
    {
        got = receive_rest(fd, vector, count, got > 0 ? (uint64_t)got : 0, flags);
    }

    core_leave();
    return finish_call(got, saved_errno);
}

// readv(2) of nothing does nothing; recvmsg(2) of nothing still waits.
ssize_t socket_read_vector(int fd, const struct iovec *vector, int count)
{
    return count == 0 || (vector_error(vector, (size_t)count, 0, EINVAL) == 0 && vector_length(vector, count) == 0)
               ? 0
               : socket_receive_vector(fd, vector, count, 0);
}

// A stream socket names no sender (recv(2)).
ssize_t socket_receive_from(int fd, void *buffer, size_t length, int flags, socklen_t *size)
{
    ssize_t got = socket_receive(fd, buffer, length, flags);
    if (got >= 0 && size != NULL)
    {
        *size = 0;
    }

    return got;
}

ssize_t socket_receive_message(int fd, struct msghdr *message, int flags)
{
    int error = message == NULL ? EFAULT : vector_error(message->msg_iov, message->msg_iovlen, flags, EMSGSIZE);
    if (unlikely(error != 0))
    {
        return refuse(error);
    }

    ssize_t got = socket_receive_vector(fd, message->msg_iov, (int)message->msg_iovlen, flags);
    if (got >= 0)
    {
        message->msg_namelen = 0;
        message->msg_controllen = 0;
        message->msg_flags = 0;
    }

    return got;
}

int socket_receive_messages(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    unsigned done = 0;
    while (done < count)
    {
        int each = done > 0 && (flags & MSG_WAITFORONE) != 0 ? flags | MSG_DONTWAIT : flags;
        ssize_t got = socket_receive_message(fd, &messages[done].msg_hdr, each & ~MSG_WAITFORONE);
        if (got < 0)
        {
            return done > 0 ? (int)done : -1;
        }

        messages[done++].msg_len = (unsigned)got;
        if (got == 0)
        {
            break;
        }
    }

    return (int)done;
}

static int64_t send_waiting(int fd, const struct iovec *vector, int count, uint64_t total, uint64_t length, int flags,
                            struct waiting *waiting)
{
    while (total < length || length == 0)
    {
        int64_t sent = core.send_vector(fd, vector, count, total, flags, 1);
        if (sent >= 0)
        {
            total += (uint64_t)sent;
            if (length == 0)
            {
                break;
            }

            continue;
        }

        if (sent != PRONGHORN_WAIT)
        {
            return total > 0 ? (int64_t)total : sent;
        }

        if (!waiting->guarded)
        {
            wait_guard(waiting);
        }

        int failure = wait_round(waiting);
        if (failure < 0)
        {
            return total > 0 ? (int64_t)total : wait_error(failure);
        }
    }

    return (int64_t)total;
}

static int64_t send_rest(int fd, const struct iovec *vector, int count, uint64_t total, uint64_t length, int flags)
{
    struct pollfd slots[WAIT_SLOTS];
    struct waiting waiting = waiting_for(fd, 1, slots);
    int64_t sent = send_waiting(fd, vector, count, total, length, flags, &waiting);
    wait_unguard(&waiting);
    return sent;
}

static ssize_t finish_send(int64_t sent, int flags, int saved_errno)
{
    if (unlikely(sent == -EPIPE && (flags & MSG_NOSIGNAL) == 0))
    {
        raise(SIGPIPE);
    }

    return finish_call(sent, saved_errno);
}

static bool must_flush(void)
{
    thread_unflushed += thread_unflushed <= SENDS_WITHOUT_WAITING;
    return thread_unflushed > SENDS_WITHOUT_WAITING;
}

ssize_t socket_send(int fd, const void *buffer, size_t length, int flags)
{
    int saved_errno = errno;
    if (unlikely(buffer == NULL && length > 0))
    {
        return refuse(EFAULT);
    }

    pthread_testcancel();
    if (!core_enter())
    {
        errno = EAGAIN;
        return -1;
    }

    int64_t sent = core.send(fd, buffer, length, flags, must_flush());
    if (unlikely(sent != (int64_t)length && (sent == PRONGHORN_WAIT || sent > 0)))
    {
        struct iovec vector = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = length};
        sent = send_rest(fd, &vector, 1, sent > 0 ? (uint64_t)sent : 0, length, flags);
    }

    core_leave();
    return finish_send(sent, flags, saved_errno);
}

ssize_t socket_send_vector(int fd, const struct iovec *vector, int count, int flags)
{
    int saved_errno = errno;
    int error = vector_error(vector, (size_t)count, flags, EINVAL);
    if (unlikely(error != 0))
    {
        return refuse(error);
    }

    pthread_testcancel();
    if (!core_enter())
    {
        errno = EAGAIN;
        return -1;
    }

    uint64_t length = vector_length(vector, count);
    int64_t sent = core.send_vector(fd, vector, count, 0, flags, must_flush());
    if (unlikely(sent != (int64_t)length && (sent == PRONGHORN_WAIT || sent > 0)))
    {
        sent = send_rest(fd, vector, count, sent > 0 ? (uint64_t)sent : 0, length, flags);
    }

    core_leave();
    return finish_send(sent, flags, saved_errno);
}

ssize_t socket_send_message(int fd, const struct msghdr *message, int flags)
{
    int error = message == NULL ? EFAULT : vector_error(message->msg_iov, message->msg_iovlen, flags, EMSGSIZE);
    return unlikely(error != 0) ? refuse(error)
                                : socket_send_vector(fd, message->msg_iov, (int)message->msg_iovlen, flags);
}

int socket_send_messages(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    for (unsigned done = 0; done < count; done++)
    {
        struct msghdr *message = &messages[done].msg_hdr;
        ssize_t sent = socket_send_message(fd, message, flags);
        if (sent < 0)
        {
            return done > 0 ? (int)done : -1;
        }

        messages[done].msg_len = (unsigned)sent;
    }

    return (int)count;
}

// Through a buffer: what the socket does not take is not consumed from the file.
ssize_t socket_send_file(int out, int in, off_t *offset, size_t count)
{
    char chunk[FILE_CHUNK];
    size_t total = 0;
    off_t position = offset != NULL ? *offset : lseek(in, 0, SEEK_CUR);
    if (position < 0)
    {
        return -1;
    }

    while (total < count)
    {
        size_t wanted = count - total < sizeof chunk ? count - total : sizeof chunk;
        ssize_t got = pread(in, chunk, wanted, position);
        if (got <= 0)
        {
            if (got < 0 && total == 0)
            {
                return -1;
            }

            break;
        }

        ssize_t sent = socket_send(out, chunk, (size_t)got, total + (size_t)got < count ? MSG_MORE : 0);
        if (sent < 0)
        {
            if (total == 0)
            {
                return -1;
            }

            break;
        }

        total += (size_t)sent;
        position += sent;
        if (sent < got)
        {
            break;
        }
    }

    if (offset != NULL)
    {
        *offset = position;
    }
    else
    {
        lseek(in, position, SEEK_SET);
    }

    return (ssize_t)total;
}
