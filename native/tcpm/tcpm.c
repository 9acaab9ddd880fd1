// SPDX-License-Identifier: Apache-2.0
/*
 * libtcpm: the C side of src/Pronghorn.Handoff/Workers. In C because it lives in other people's
 * processes, which fork.
 */
#include "tcpm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

#define MAGIC 0x54434d31u /* "TCM1" */
#define DEFAULT_FOLDER "/run/tcpm"

/* Longer than the daemon waits for another node. */
#define ANSWER_MILLISECONDS 40000

/* A daemon that ended within a move is started again before that. */
#define RECOVER_MILLISECONDS 30000
#define RECOVER_PAUSE_MILLISECONDS 50

/* TcpmMsgHdrType.reserved of a question within a call. */
#define WAITING 1

/* Moves of a batch under way: more are more in a second, and hold each connection longer (docs/handoff.md). */
#define MOST_AT_ONCE 8

enum kind {
    HELLO = 1,
    REGISTER = 2,
    UNREGISTER = 3,
    HANDOFF = 4,
    RESULT = 5,
    CONNECTION = 6,
    RECOVER = 7,
    RELEASE = 8,
    FINISH = 9,
};

/* WorkerMessage.cs; numbers in network order. */
struct message {
    uint32_t magic;
    uint32_t kind;
    uint32_t sequence;
    uint32_t result;
    uint32_t worker;
    uint16_t family;
    uint16_t port;
    uint8_t address[16];
    uint32_t consumed;
    uint32_t tag;
};

_Static_assert(sizeof(struct message) == 48, "WorkerMessage.HeaderLength");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int control = -1;
static int delivery = -1;
static uint32_t last_sequence;
static struct sockaddr_un daemon_address;

/* A connection that came and is silent until the daemon says that it works. */
struct silent {
    struct silent *next;
    struct message message;
    int fd;
    char content[];
};

static pthread_mutex_t receiving = PTHREAD_MUTEX_INITIALIZER;
static struct silent *silent;

static void close_one(int *fd)
{
    int saved = errno;

    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = saved;
}

static void close_both(void)
{
    close_one(&control);
    close_one(&delivery);
}

static int send_message(const struct message *message, const void *consumed, size_t consumed_length, const void *tag,
            size_t tag_length, int fd)
{
    struct iovec parts[3] = {
        { (void *)message, sizeof(*message) }, { (void *)consumed, consumed_length }, { (void *)tag, tag_length },
    };
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } rights = { 0 };
    struct msghdr sent = { .msg_iov = parts, .msg_iovlen = 3 };
    ssize_t result;

    if (fd >= 0) {
        sent.msg_control = &rights;
        sent.msg_controllen = sizeof(rights.space);
        rights.header.cmsg_level = SOL_SOCKET;
        rights.header.cmsg_type = SCM_RIGHTS;
        rights.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&rights.header), &fd, sizeof(fd));
    }
    do
        result = sendmsg(control, &sent, MSG_NOSIGNAL);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -1 : 0;
}

/* Bytes of a packet: those that did not fit too. */
static ssize_t receive_message(int from, struct message *message, void *content, size_t capacity, int *fd, int flags)
{
    struct iovec parts[2] = { { message, sizeof(*message) }, { content, capacity } };
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } rights;
    struct msghdr received = {
        .msg_iov = parts, .msg_iovlen = 2, .msg_control = &rights, .msg_controllen = sizeof(rights.space),
    };
    struct cmsghdr *header;
    ssize_t result;

    *fd = -1;
    do
        result = recvmsg(from, &received, MSG_CMSG_CLOEXEC | MSG_TRUNC | flags);
    while (result < 0 && errno == EINTR);
    if (result < 0)
        return -1;
    header = CMSG_FIRSTHDR(&received);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(fd, CMSG_DATA(header), sizeof(*fd));
    if (result == 0) {
        errno = EPIPE;
        return -1;
    }
    if ((size_t)result < sizeof(*message) || ntohl(message->magic) != MAGIC) {
        close_one(fd);
        errno = EPROTO;
        return -1;
    }
    return result;
}

/* Waits for the answer to one of some questions. What it answers to an earlier one, given up, is passed over. */
static int receive_result(TcpmMsgHdrType *hdrs, int count)
{
    struct message answer;
    char reason[TCPM_MAX_CONTENT];
    TcpmMsgHdrType *hdr = 0;
    size_t length;
    int fd;

    while (!hdr) {
        struct pollfd wait = { .fd = control, .events = POLLIN };
        int ready = poll(&wait, 1, ANSWER_MILLISECONDS);

        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0) {
            errno = ready == 0 ? ETIMEDOUT : errno;
            return -1;
        }
        if (receive_message(control, &answer, reason, sizeof(reason), &fd, 0) < 0)
            return -1;
        close_one(&fd);
        for (int i = 0; i < count && ntohl(answer.kind) == RESULT && !hdr; i++)
            hdr = hdrs[i].reserved == WAITING && hdrs[i].sequence == ntohl(answer.sequence) ? &hdrs[i] : 0;
    }
    hdr->reserved = 0;
    hdr->result = (int32_t)ntohl(answer.result);
    length = ntohl(answer.tag);
    if (length > sizeof(hdr->reason) - 1)
        length = sizeof(hdr->reason) - 1;
    memcpy(hdr->reason, reason, length);
    hdr->reason[length] = '\0';
    return 0;
}

static int fill(struct message *message, const TcpmFdTransferMsgType *transfer)
{
    switch (transfer->family) {
    case AF_INET:
        message->family = htons(4);
        memcpy(message->address, transfer->ip, 4);
        break;
    case AF_INET6:
        message->family = htons(6);
        memcpy(message->address, transfer->ip, 16);
        break;
    default:
        errno = EAFNOSUPPORT;
        return -1;
    }
    message->port = htons(transfer->port);
    message->worker = htonl(transfer->workerIndex);
    return 0;
}

/* A question; it waits for its answer then. The lock is held. */
static int put(enum kind kind, TcpmMsgHdrType *hdr, const TcpmFdTransferMsgType *transfer, uint32_t result, int fd)
{
    struct message question = { .magic = htonl(MAGIC), .kind = htonl(kind), .result = htonl(result) };
    size_t consumed = 0, tag = 0;

    if (control < 0) {
        errno = ENOTCONN;
        return -1;
    }
    if (transfer && fill(&question, transfer))
        return -1;
    if (kind == HANDOFF) {
        consumed = transfer->consumedLength;
        tag = transfer->tagLength;
        if (consumed > TCPM_MAX_CONTENT || tag > TCPM_MAX_CONTENT - consumed) {
            errno = EMSGSIZE;
            return -1;
        }
    }
    question.sequence = htonl(++last_sequence);
    question.consumed = htonl(consumed);
    question.tag = htonl(tag);
    hdr->sequence = last_sequence;
    if (send_message(&question, consumed ? transfer->consumed : 0, consumed, tag ? transfer->tag : 0, tag, fd))
        return -1;
    hdr->reserved = WAITING;
    return 0;
}

/* One question and its answer. The lock is held. */
static int exchange(enum kind kind, TcpmMsgHdrType *hdr, const TcpmFdTransferMsgType *transfer, uint32_t result, int fd)
{
    int failed = put(kind, hdr, transfer, result, fd) || receive_result(hdr, 1);

    hdr->reserved = 0;
    return failed ? -1 : 0;
}

static int open_control(void)
{
    control = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (control < 0 || connect(control, (const struct sockaddr *)&daemon_address, sizeof(daemon_address))) {
        close_one(&control);
        return -1;
    }
    return 0;
}

static int daemon_has_ended(void)
{
    return errno == EPIPE || errno == ECONNRESET;
}

/*
 * The daemon ended while it moved the connection, and may have left it silent: only a daemon can wake it. Waits until there is one
 * again. The lock is held; the socket that has ended is kept, as whoever polls it is to see that.
 */
static int recover(enum kind kind, TcpmMsgHdrType *hdr, uint32_t state, int fd)
{
    int ended = control, result = -1;

    for (int waited = 0; result && waited < RECOVER_MILLISECONDS; waited += RECOVER_PAUSE_MILLISECONDS) {
        if (waited)
            poll(0, 0, RECOVER_PAUSE_MILLISECONDS);
        if (open_control())
            continue;
        result = exchange(kind, hdr, 0, state, fd);
        close_one(&control);
    }
    control = ended;
    return result;
}

static void begin_header(TcpmMsgHdrType *hdr)
{
    memset(hdr, 0, sizeof(*hdr));
    hdr->version = TCPM_VERSION;
}

static void fail(TcpmMsgHdrType *hdr, int error)
{
    hdr->reserved = 0;
    hdr->result = -error;
    snprintf(hdr->reason, sizeof(hdr->reason), "%s", strerror(error));
}

static int ask(enum kind kind, TcpmMsgHdrType *hdr, const TcpmFdTransferMsgType *transfer, int fd)
{
    TcpmMsgHdrType own;
    int result;

    if (!hdr)
        hdr = &own;
    begin_header(hdr);
    if (!transfer || fd < 0) {
        errno = EINVAL;
        fail(hdr, errno);
        return -1;
    }
    pthread_mutex_lock(&lock);
    result = exchange(kind, hdr, transfer, 0, fd);
    if (result && kind == HANDOFF && daemon_has_ended())
        result = recover(RECOVER, hdr, 0, fd);
    pthread_mutex_unlock(&lock);
    if (result) {
        fail(hdr, errno);
    } else if (hdr->result) {
        errno = ECANCELED;
        result = -1;
    }
    return result;
}

/* Opens both sockets. The lock is held. */
static int connect_both(void)
{
    struct message hello = { .magic = htonl(MAGIC), .kind = htonl(HELLO) };
    TcpmMsgHdrType hdr;
    int pair[2];

    if (open_control())
        return -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
        return -1;
    delivery = pair[0];
    hello.sequence = htonl(++last_sequence);
    begin_header(&hdr);
    hdr.sequence = last_sequence;
    hdr.reserved = WAITING;
    if (send_message(&hello, 0, 0, 0, 0, pair[1]) || receive_result(&hdr, 1)) {
        close_one(&pair[1]);
        return -1;
    }
    close_one(&pair[1]);
    return 0;
}

/* A child of a fork that came while another thread was in a call: that thread is not here, and its call neither. */
static void begin_child(void)
{
    int calling = pthread_mutex_trylock(&lock), taking = pthread_mutex_trylock(&receiving);

    if (!calling && !taking) {
        pthread_mutex_unlock(&receiving);
        pthread_mutex_unlock(&lock);
        return;
    }
    pthread_mutex_init(&lock, 0);
    pthread_mutex_init(&receiving, 0);
    close_both();
}

__attribute__((constructor)) static void begin(void)
{
    pthread_atfork(0, 0, begin_child);
}

EXPORT int TcpmCreateAndConnectUnixSocket(enum TcpmServiceType type, int workerIndex)
{
    const char *folder = secure_getenv("TCPM_SOCKET_DIRECTORY");
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int length, result;

    if ((type != VLB && type != LAS) || workerIndex < 0) {
        errno = EINVAL;
        return -1;
    }
    length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s-%d.sock", folder ? folder : DEFAULT_FOLDER,
              type == VLB ? "vlb" : "las", workerIndex);
    if (length < 0 || (size_t)length >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    pthread_mutex_lock(&lock);
    if (control >= 0) {
        errno = EISCONN;
        result = -1;
    } else {
        daemon_address = address;
        result = connect_both();
        if (result)
            close_both();
    }
    pthread_mutex_unlock(&lock);
    return result;
}

EXPORT int TcpmRegisterFd(TcpmMsgHdrType *hdr, TcpmFdTransferMsgType *transfer, int fd)
{
    return ask(REGISTER, hdr, transfer, fd);
}

EXPORT int TcpmHandoffFd(TcpmMsgHdrType *hdr, TcpmFdTransferMsgType *req, int fd)
{
    return ask(HANDOFF, hdr, req, fd);
}

/* What became of those that a daemon that has ended was asked for, or of which no answer came in time. The lock is held. */
static void end_waiting(TcpmMsgHdrType *hdrs, const TcpmFdTransferMsgType *reqs, int sent)
{
    int error = errno, has_ended = daemon_has_ended();

    for (int i = 0; i < sent; i++) {
        if (hdrs[i].reserved != WAITING)
            continue;
        hdrs[i].reserved = 0;
        if (!has_ended || recover(RECOVER, &hdrs[i], 0, reqs[i].fd))
            fail(&hdrs[i], has_ended ? errno : error);
    }
}

/* Asks for all, some at once, until each has its answer. The lock is held. */
static void ask_all(TcpmMsgHdrType *hdrs, const TcpmFdTransferMsgType *reqs, int count)
{
    int sent = 0, waiting = 0, error = 0;

    while (!error && (sent < count || waiting)) {
        if (sent < count && waiting < MOST_AT_ONCE) {
            if (!put(HANDOFF, &hdrs[sent], &reqs[sent], 0, reqs[sent].fd)) {
                waiting++;
            } else if (daemon_has_ended() || errno == ENOTCONN) {
                error = errno;
                break;
            } else {
                fail(&hdrs[sent], errno);
            }
            sent++;
        } else if (receive_result(hdrs, sent)) {
            error = errno;
        } else {
            waiting--;
        }
    }
    if (!error)
        return;
    errno = error;
    end_waiting(hdrs, reqs, sent);
    for (int i = sent; i < count; i++)
        fail(&hdrs[i], error);
}

EXPORT int TcpmHandoffFds(TcpmMsgHdrType *hdrs, TcpmFdTransferMsgType *reqs, int count)
{
    int moved = 0;

    if (!hdrs || !reqs || count < 0) {
        errno = EINVAL;
        return -1;
    }
    for (int i = 0; i < count; i++)
        begin_header(&hdrs[i]);
    pthread_mutex_lock(&lock);
    ask_all(hdrs, reqs, count);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < count; i++)
        moved += hdrs[i].result == 0;
    return moved;
}

EXPORT int TcpmUnRegisterFd(TcpmMsgHdrType *hdr, TcpmFdTransferMsgType *transfer, int fd)
{
    return ask(UNREGISTER, hdr, transfer, fd);
}

EXPORT void TcpmCloseFd(void)
{
    pthread_mutex_lock(&receiving);
    while (silent) {
        struct silent *one = silent;

        silent = one->next;
        close_one(&one->fd);
        free(one);
    }
    pthread_mutex_unlock(&receiving);
    pthread_mutex_lock(&lock);
    close_both();
    pthread_mutex_unlock(&lock);
}

EXPORT int TcpmEventFd(void)
{
    int fd;

    pthread_mutex_lock(&lock);
    fd = delivery;
    pthread_mutex_unlock(&lock);
    return fd;
}

static void reset(int fd)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close_one(&fd);
}

/* Takes one out; 0 when there is none of that number. */
static struct silent *take_silent(uint32_t sequence)
{
    for (struct silent **at = &silent; *at; at = &(*at)->next) {
        struct silent *found = *at;

        if (ntohl(found->message.sequence) != sequence)
            continue;
        *at = found->next;
        return found;
    }
    return 0;
}

/* 0, or -1 when it is none, or there is no memory for it. The descriptor is taken in either case. */
static int keep_silent(const struct message *message, const void *content, size_t length, int fd)
{
    size_t consumed = ntohl(message->consumed), tag = ntohl(message->tag);
    struct silent *kept;

    if (fd < 0 || consumed > TCPM_MAX_CONTENT || tag > TCPM_MAX_CONTENT - consumed || consumed + tag != length) {
        close_one(&fd);
        errno = EPROTO;
        return -1;
    }
    kept = malloc(sizeof(*kept) + length);
    if (!kept) {
        reset(fd);
        errno = ENOMEM;
        return -1;
    }
    kept->message = *message;
    kept->fd = fd;
    memcpy(kept->content, content, length);
    kept->next = silent;
    silent = kept;
    return 0;
}

/* Gives one that works to the application, or resets what does not fit. */
static int deliver(struct silent *one, TcpmFdTransferMsgType *transfer, void *buffer, size_t capacity)
{
    size_t consumed = ntohl(one->message.consumed), tag = ntohl(one->message.tag);
    int fd = one->fd;

    if (consumed + tag > capacity) {
        reset(fd);
        free(one);
        errno = ENOBUFS;
        return -1;
    }
    memcpy(buffer, one->content, consumed + tag);
    transfer->fd = fd;
    transfer->family = ntohs(one->message.family) == 4 ? AF_INET : AF_INET6;
    transfer->port = ntohs(one->message.port);
    transfer->workerIndex = ntohl(one->message.worker);
    memcpy(transfer->ip, one->message.address, sizeof(transfer->ip));
    transfer->consumed = buffer;
    transfer->consumedLength = consumed;
    transfer->tag = (const char *)buffer + consumed;
    transfer->tagLength = tag;
    free(one);
    return fd;
}

/* The daemon ended before it said that a connection works: the next one says so. 0 when none is left that does. */
static struct silent *finish_silent(void)
{
    while (silent) {
        struct silent *one = silent;
        TcpmMsgHdrType hdr = { 0 };
        int failed;

        silent = one->next;
        pthread_mutex_lock(&lock);
        failed = recover(FINISH, &hdr, ntohl(one->message.result), one->fd);
        pthread_mutex_unlock(&lock);
        if (!failed && !hdr.result)
            return one;
        close_one(&one->fd);
        free(one);
    }
    return 0;
}

static int receive_one(int from, TcpmFdTransferMsgType *transfer, void *buffer, size_t capacity)
{
    static char content[TCPM_MAX_CONTENT];
    struct message came;
    struct silent *one;
    ssize_t length;
    int fd;

    for (;;) {
        length = receive_message(from, &came, content, sizeof(content), &fd, MSG_DONTWAIT);
        if (length < 0) {
            int why = errno;

            one = daemon_has_ended() ? finish_silent() : 0;
            if (one)
                return deliver(one, transfer, buffer, capacity);
            errno = why;
            return -1;
        }
        if (ntohl(came.kind) == CONNECTION) {
            if (keep_silent(&came, content, length - sizeof(came), fd))
                return -1;
            continue;
        }
        close_one(&fd);
        if (ntohl(came.kind) != RELEASE) {
            errno = EPROTO;
            return -1;
        }
        one = take_silent(ntohl(came.sequence));
        if (!one)
            continue;
        if (!came.result)
            return deliver(one, transfer, buffer, capacity);
        close_one(&one->fd);
        free(one);
    }
}

EXPORT int TcpmReceiveFd(TcpmFdTransferMsgType *transfer, void *buffer, size_t capacity)
{
    int from = TcpmEventFd(), result;

    if (!transfer || (!buffer && capacity)) {
        errno = EINVAL;
        return -1;
    }
    memset(transfer, 0, sizeof(*transfer));
    if (from < 0) {
        errno = ENOTCONN;
        return -1;
    }
    pthread_mutex_lock(&receiving);
    result = receive_one(from, transfer, buffer, capacity);
    pthread_mutex_unlock(&receiving);
    return result;
}

EXPORT int TcpmSetEnd(TcpmFdTransferMsgType *transfer, const char *ip, uint16_t port, uint32_t workerIndex)
{
    if (!transfer || !ip) {
        errno = EINVAL;
        return -1;
    }
    if (inet_pton(AF_INET, ip, transfer->ip) == 1) {
        transfer->family = AF_INET;
    } else if (inet_pton(AF_INET6, ip, transfer->ip) == 1) {
        transfer->family = AF_INET6;
    } else {
        errno = EINVAL;
        return -1;
    }
    transfer->port = port;
    transfer->workerIndex = workerIndex;
    return 0;
}
