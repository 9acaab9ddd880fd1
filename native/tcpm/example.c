// SPDX-License-Identifier: Apache-2.0
/*
 * A worker that serves lines: "get NAME" is answered with "NAME from WORKER" by the worker that has NAME,
 * wherever the client has connected. A name begins with the number of the node that has it.
 *
 * tcpm-example NODE IP PORT WORKER [PEER-NODE PEER-IP]...
 */
#include "tcpm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE 256
#define CLIENTS 256
#define RETRY_MILLISECONDS 100

struct client {
    int fd;
    size_t length;
    char line[LINE];
};

static struct client clients[CLIENTS];
static int node, port, worker, peers;
static char **peer;

static void add_client(int fd, const void *read_already, size_t length)
{
    for (int i = 0; i < CLIENTS; i++) {
        if (clients[i].fd < 0 && length <= LINE) {
            clients[i].fd = fd;
            clients[i].length = length;
            memcpy(clients[i].line, read_already, length);
            return;
        }
    }
    close(fd);
}

static void end_client(struct client *client)
{
    close(client->fd);
    client->fd = -1;
}

/* Gives the client to the node that has what it asked for. 0 when it is there. */
static int hand_off(struct client *client, int owner)
{
    TcpmFdTransferMsgType target = { 0 };
    TcpmMsgHdrType hdr = { 0 };

    for (int i = 0; i + 1 < peers; i += 2) {
        if (atoi(peer[i]) != owner || TcpmSetEnd(&target, peer[i + 1], port, worker))
            continue;
        target.consumed = client->line;
        target.consumedLength = client->length;
        if (!TcpmHandoffFd(&hdr, &target, client->fd))
            return 0;
        fprintf(stderr, "it stays: %s\n", hdr.reason);
        return -1;
    }
    return -1;
}

/* Serves the lines that are complete. */
static void serve(struct client *client)
{
    char answer[2 * LINE], name[LINE], *end;
    int length;

    while (client->fd >= 0 && (end = memchr(client->line, '\n', client->length))) {
        *end = '\0';
        length = sscanf(client->line, "get %255[^\r]", name);
        *end = '\n';
        if (length != 1) {
            end_client(client);
            return;
        }
        if (atoi(name) != node && !hand_off(client, atoi(name))) {
            end_client(client);
            return;
        }
        length = snprintf(answer, sizeof(answer), "%s from %d.%d\n", name, node, worker);
        if (send(client->fd, answer, length, MSG_NOSIGNAL) != length) {
            end_client(client);
            return;
        }
        client->length -= end + 1 - client->line;
        memmove(client->line, end + 1, client->length);
    }
}

static void read_client(struct client *client)
{
    ssize_t length = recv(client->fd, client->line + client->length, LINE - client->length, MSG_DONTWAIT);

    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length <= 0) {
        end_client(client);
        return;
    }
    client->length += length;
    serve(client);
}

static int open_listener(const char *ip)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (inet_pton(AF_INET, ip, &address.sin_addr) != 1 || bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
        listen(fd, 512)) {
        perror(ip);
        exit(1);
    }
    return fd;
}

/* 0 when the daemon is there and knows this worker. */
static int join(const char *ip, int listener)
{
    TcpmFdTransferMsgType here = { 0 };
    TcpmMsgHdrType hdr = { 0 };

    if (TcpmCreateAndConnectUnixSocket(LAS, worker))
        return -1;
    if (!TcpmSetEnd(&here, ip, port, worker) && !TcpmRegisterFd(&hdr, &here, listener))
        return 0;
    fprintf(stderr, "TcpmRegisterFd: %s\n", hdr.reason);
    TcpmCloseFd();
    return -1;
}

static void serve_all(const char *ip, int listener)
{
    static char content[TCPM_MAX_CONTENT];
    struct pollfd wait[CLIENTS + 2];
    TcpmFdTransferMsgType came;

    for (;;) {
        int count = 2, fd;

        /* Without a daemon everything is served here, and the daemon is looked for from time to time. */
        if (TcpmEventFd() < 0)
            join(ip, listener);
        wait[0] = (struct pollfd){ .fd = listener, .events = POLLIN };
        wait[1] = (struct pollfd){ .fd = TcpmEventFd(), .events = POLLIN };
        for (int i = 0; i < CLIENTS; i++, count++)
            wait[count] = (struct pollfd){ .fd = clients[i].fd, .events = POLLIN };
        if (poll(wait, count, TcpmEventFd() < 0 ? RETRY_MILLISECONDS : -1) < 0)
            continue;
        for (int i = 0; i < CLIENTS; i++)
            if (clients[i].fd >= 0 && wait[i + 2].revents)
                read_client(&clients[i]);
        if (wait[0].revents) {
            fd = accept4(listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd >= 0)
                add_client(fd, "", 0);
        }
        if (!wait[1].revents)
            continue;
        while ((fd = TcpmReceiveFd(&came, content, sizeof(content))) >= 0)
            add_client(fd, came.consumed, came.consumedLength);
        if (errno == EPIPE)
            TcpmCloseFd();
        for (int i = 0; i < CLIENTS; i++)
            if (clients[i].fd >= 0)
                serve(&clients[i]);
    }
}

int main(int argc, char **argv)
{
    int listener;

    if (argc < 5 || argc % 2 == 0) {
        fprintf(stderr, "usage: %s NODE IP PORT WORKER [PEER-NODE PEER-IP]...\n", argv[0]);
        return 2;
    }
    node = atoi(argv[1]);
    port = atoi(argv[3]);
    worker = atoi(argv[4]);
    peer = argv + 5;
    peers = argc - 5;
    for (int i = 0; i < CLIENTS; i++)
        clients[i].fd = -1;
    listener = open_listener(argv[2]);
    if (join(argv[2], listener)) {
        perror("TcpmCreateAndConnectUnixSocket");
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    serve_all(argv[2], listener);
    return 0;
}
