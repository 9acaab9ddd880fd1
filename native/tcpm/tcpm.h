/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connection handoff: a worker gives established TCP connections to a worker of another node, and takes
 * those that come. Every call speaks to the daemon of this node (pronghorn handoff serve, tcpm.service)
 * over its Unix sockets. Link with -ltcpm; see tcpm(3).
 *
 * A process has one connection to the daemon. After fork() the child closes it with TcpmCloseFd() and
 * connects anew. All functions may be called by any thread.
 */
#ifndef TCPM_H
#define TCPM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TCPM_VERSION 1

/* Most bytes that may go with a connection: what was consumed and the tag together. */
#define TCPM_MAX_CONTENT 65536

#define TCPM_REASON_LENGTH 256

enum TcpmServiceType {
    VLB = 0,
    LAS = 1,
};

/* Filled in by each call. To zero it beforehand is enough. */
typedef struct TcpmMsgHdr {
    uint32_t version; /* of this header: TCPM_VERSION */
    uint32_t sequence; /* number of the question */
    int32_t result; /* 0, a reason of tcpm(3), or -errno where the daemon could not be asked */
    uint32_t reserved;
    char reason[TCPM_REASON_LENGTH]; /* the same in words; empty on success */
} TcpmMsgHdrType;

/* A listener, or the end of a connection. What is not needed stays zero. */
typedef struct TcpmFdTransferMsg {
    int32_t fd; /* HandoffFd: the connection. ReceiveFd: the one that came */
    uint16_t family; /* AF_INET or AF_INET6 */
    uint16_t port; /* in host order */
    uint8_t ip[16]; /* in network order; of IPv4 the first four */
    uint32_t workerIndex;
    uint32_t reserved;
    /*
     * What the application has read of the stream already and the new owner is to read again, and
     * whatever else goes along. HandoffFd: the caller's, up to TCPM_MAX_CONTENT bytes together.
     * ReceiveFd: in the buffer that was given, consumed first.
     */
    const void *consumed;
    size_t consumedLength;
    const void *tag;
    size_t tagLength;
} TcpmFdTransferMsgType;

/*
 * Connects to the daemon, by the socket of a worker. Socket folder: TCPM_SOCKET_DIRECTORY, or /run/tcpm.
 * 0; else -1 with errno: ENOENT and ECONNREFUSED where no daemon runs or the index is too high,
 * EISCONN when the process is connected already.
 */
int TcpmCreateAndConnectUnixSocket(enum TcpmServiceType type, int workerIndex);

/*
 * Registers a listening socket: connections that other nodes hand to `transfer` (ip, port, workerIndex)
 * come to this process, see TcpmReceiveFd(). The socket stays the caller's.
 * 0; else -1, with hdr->result and hdr->reason.
 */
int TcpmRegisterFd(TcpmMsgHdrType *hdr, TcpmFdTransferMsgType *transfer, int fd);

/*
 * Moves an established connection to the worker that has registered `req` (ip, port, workerIndex) at the
 * node with that address. Waits until the other node has it (about a millisecond) or has not.
 * 0: it is there; close fd, which sends nothing. Else -1, with hdr->result and hdr->reason: the
 * connection is as it was, and here.
 */
int TcpmHandoffFd(TcpmMsgHdrType *hdr, TcpmFdTransferMsgType *req, int fd);

/* Ends a registration: the worker leaves. Connections that it has are its own. 0, else -1. */
int TcpmUnRegisterFd(TcpmMsgHdrType *hdr, TcpmFdTransferMsgType *transfer, int fd);

/* Ends everything: registrations and the connection to the daemon. */
void TcpmCloseFd(void);

/* --- Beyond the original --- */

/*
 * TcpmHandoffFd() for many: each of `reqs` has its connection in `fd`, and hdrs[i] says what became of reqs[i].
 * Some are under way at a time, which is twice as fast as one after the other. How many moved: of those
 * hdrs[i].result is 0; the others are as they were, and here. -1 with errno EINVAL where nothing was tried.
 */
int TcpmHandoffFds(TcpmMsgHdrType *hdrs, TcpmFdTransferMsgType *reqs, int count);

/* A descriptor that is readable when a connection has come, for poll() and epoll. -1: not connected. */
int TcpmEventFd(void);

/*
 * Takes the next connection that has come, as accept() would: its descriptor, which is non-blocking and
 * closed on exec. `transfer` tells the peer and what goes along, in `buffer`.
 * -1 with errno: EAGAIN when none has come, EPIPE when the daemon has gone, ENOBUFS when the buffer is too
 * small (TCPM_MAX_CONTENT always does; the connection is reset).
 */
int TcpmReceiveFd(TcpmFdTransferMsgType *transfer, void *buffer, size_t capacity);

/* Fills family, ip, port and workerIndex. 0, or -1 with errno EINVAL when `ip` is no address. */
int TcpmSetEnd(TcpmFdTransferMsgType *transfer, const char *ip, uint16_t port, uint32_t workerIndex);

#ifdef __cplusplus
}
#endif

#endif
