// SPDX-License-Identifier: Apache-2.0
// Says hello to itself over an address, by epoll; what it has read it prints.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int need(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

int main(int count, char **words)
{
    struct sockaddr_in end = { .sin_family = AF_INET };
    socklen_t length = sizeof(end);
    struct epoll_event event = { .events = EPOLLIN };
    char text[16] = "";

    if (count != 2 || inet_pton(AF_INET, words[1], &end.sin_addr) != 1) {
        fprintf(stderr, "usage: talk ADDRESS\n");
        return 2;
    }
    int listener = need(socket(AF_INET, SOCK_STREAM, 0), "socket");
    need(bind(listener, (struct sockaddr *)&end, length), "bind");
    need(listen(listener, 1), "listen");
    need(getsockname(listener, (struct sockaddr *)&end, &length), "getsockname");
    int client = need(socket(AF_INET, SOCK_STREAM, 0), "socket");
    need(connect(client, (struct sockaddr *)&end, length), "connect");
    int set = need(epoll_create1(0), "epoll_create1");
    need(epoll_ctl(set, EPOLL_CTL_ADD, listener, &event), "epoll_ctl");
    if (need(epoll_wait(set, &event, 1, 20000), "epoll_wait") != 1)
        return 1;
    int server = need(accept(listener, NULL, NULL), "accept");
    need((int)write(client, "hello", 5), "write");
    need((int)read(server, text, sizeof(text) - 1), "read");
    puts(text);
    return 0;
}
