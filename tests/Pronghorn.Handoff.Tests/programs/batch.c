// SPDX-License-Identifier: Apache-2.0
/*
 * A worker that gives away many connections at once. Each line on standard output says what became of one, or, at first, how many
 * moved. One of them has more to send along than may go.
 */
#include "tcpm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define COUNT 30
#define TOO_LONG 7

static TcpmMsgHdrType hdrs[COUNT];
static TcpmFdTransferMsgType reqs[COUNT];
static char names[COUNT][16];
static char much[TCPM_MAX_CONTENT + 1];

int main(void)
{
    int moved;

    if (TcpmCreateAndConnectUnixSocket(LAS, 0)) {
        perror("TcpmCreateAndConnectUnixSocket");
        return 1;
    }
    for (int i = 0; i < COUNT; i++) {
        reqs[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (reqs[i].fd < 0 || TcpmSetEnd(&reqs[i], "10.0.0.9", 80, 0))
            return 1;
        reqs[i].consumed = names[i];
        reqs[i].consumedLength = snprintf(names[i], sizeof(names[i]), "%d", i);
    }
    reqs[TOO_LONG].consumed = much;
    reqs[TOO_LONG].consumedLength = sizeof(much);
    moved = TcpmHandoffFds(hdrs, reqs, COUNT);
    printf("moved %d\n", moved);
    for (int i = 0; i < COUNT; i++)
        printf("%d %d %s\n", i, hdrs[i].result, hdrs[i].reason);
    return fflush(stdout) || TcpmHandoffFds(NULL, reqs, 1) != -1 || TcpmHandoffFds(hdrs, reqs, 0);
}
