// SPDX-License-Identifier: Apache-2.0
/*
 * A worker that gives away a connection; when a line comes on standard input it forks meanwhile. What its calls return goes to
 * standard output: a line each, of who called, result, errno and reason.
 */
#include "tcpm.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Longer than what fails at once, on a machine that is busy; shorter than libtcpm waits for an answer. */
#define CHILD_SECONDS 10

static int hand_off(const char *who)
{
    TcpmFdTransferMsgType target = { 0 };
    TcpmMsgHdrType hdr = { 0 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), result;

    if (fd < 0 || TcpmSetEnd(&target, "10.0.0.9", 80, 0))
        return 1;
    errno = 0;
    result = TcpmHandoffFd(&hdr, &target, fd);
    printf("%s %d %d %s\n", who, result, result ? errno : 0, hdr.reason);
    fflush(stdout);
    close(fd);
    return 0;
}

static void *hand_off_in_parent(void *unused)
{
    (void)unused;
    hand_off("parent");
    return NULL;
}

static int run_child(void)
{
    alarm(CHILD_SECONDS);
    if (hand_off("child"))
        return 1;
    errno = 0;
    printf("child %d %d\n", TcpmCreateAndConnectUnixSocket(LAS, 0), errno);
    return fflush(stdout) ? 1 : 0;
}

int main(void)
{
    pthread_t thread;
    char line[16];
    int status = 0;
    pid_t child;

    if (TcpmCreateAndConnectUnixSocket(LAS, 0)) {
        perror("TcpmCreateAndConnectUnixSocket");
        return 1;
    }
    if (pthread_create(&thread, NULL, hand_off_in_parent, NULL))
        return 1;
    if (fgets(line, sizeof(line), stdin)) {
        child = fork();
        if (child == 0)
            _exit(run_child());
        waitpid(child, &status, 0);
        printf("child ended %d\n", WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status));
        fflush(stdout);
    }
    pthread_join(thread, NULL);
    return 0;
}
