// SPDX-License-Identifier: Apache-2.0
// getsockopt, setsockopt, ioctl.
#include "conformance.h"

CASE(options_of_a_connection_are_true)
{
    int fd = accepted(1);
    EQUAL(option(fd, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
    EQUAL(option(fd, SOL_SOCKET, SO_DOMAIN), AF_INET);
    EQUAL(option(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
    EQUAL(option(fd, SOL_SOCKET, SO_ACCEPTCONN), 0);
    EQUAL(option(fd, SOL_SOCKET, SO_ERROR), 0);
    EQUAL(option(fd, IPPROTO_TCP, TCP_MAXSEG), 1448);
    EQUAL(option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    EQUAL(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    EQUAL(option(fd, SOL_SOCKET, SO_REUSEADDR), 1);
    EQUAL(option(fd, IPPROTO_IP, IP_TTL), 64);
    CHECK(option(fd, SOL_SOCKET, SO_RCVBUF) > 0);
    CHECK(option(fd, SOL_SOCKET, SO_SNDBUF) > 0);
}

CASE(options_of_a_listener_are_true)
{
    int listener = listening(base_port);
    EQUAL(poll_one(listener, POLLIN, 0), 0);
    EQUAL(option(listener, SOL_SOCKET, SO_ACCEPTCONN), 1);
    EQUAL(option(listener, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
    EQUAL(option(listener, SOL_SOCKET, SO_ERROR), 0);
    EQUAL(option(listener, SOL_SOCKET, SO_REUSEADDR), 1);
    struct tcp_info information;
    socklen_t length = sizeof information;
    EQUAL(getsockopt(listener, IPPROTO_TCP, TCP_INFO, &information, &length), 0);
    EQUAL(information.tcpi_state, TCP_LISTEN);
}

static void set_and_get(int fd, int level, int name, int value)
{
    EQUAL(setsockopt(fd, level, name, &value, sizeof value), 0);
    EQUAL(option(fd, level, name), value);
}

CASE(options_are_kept)
{
    int fd = accepted(1);
    set_and_get(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_and_get(fd, IPPROTO_TCP, TCP_NODELAY, 0);
    set_and_get(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_and_get(fd, IPPROTO_TCP, TCP_KEEPIDLE, 77);
    set_and_get(fd, IPPROTO_TCP, TCP_KEEPINTVL, 7);
    set_and_get(fd, IPPROTO_TCP, TCP_KEEPCNT, 5);
    set_and_get(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
    set_and_get(fd, IPPROTO_TCP, TCP_CORK, 1);
    set_and_get(fd, IPPROTO_TCP, TCP_CORK, 0);
    set_and_get(fd, IPPROTO_IP, IP_TTL, 50);
    set_and_get(fd, IPPROTO_IP, IP_TOS, 0x10);
    int value = 20000;
    EQUAL(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, sizeof value), 0);
    EQUAL(option(fd, SOL_SOCKET, SO_SNDBUF), 40000);
    write_exactly(fd, 10, 0);
    EQUAL(peer("receive 1 10"), 10);
}

CASE(options_go_from_the_listener_to_its_connections)
{
    int one = 1;
    int listener = listening(base_port);
    EQUAL(setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
    EQUAL(setsockopt(listener, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one), 0);
    EQUAL(poll_one(listener, POLLIN, 0), 0);
    EQUAL(peer("connect 1 %s %d", own_address, base_port), 0);
    int fd = accept(listener, NULL, NULL);
    EQUAL(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    EQUAL(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
}

CASE(options_before_connect_stay)
{
    int one = 1;
    struct sockaddr_in to = address_of(peer_address, base_port + 1);
    EQUAL(peer("listen 15 %d 16", base_port + 1), 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    EQUAL(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
    EQUAL(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one), 0);
    EQUAL(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    EQUAL(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    EQUAL(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
}

CASE(information_tells_the_state)
{
    struct tcp_info information = {0};
    socklen_t length = sizeof information;
    int fd = accepted(1);
    write_exactly(fd, 5000, 0);
    EQUAL(peer("receive 1 5000"), 5000);
    EQUAL(peer("send 1 1"), 1);
    EQUAL(poll_one(fd, POLLIN, 5000), POLLIN);
    EQUAL(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &information, &length), 0);
    EQUAL(information.tcpi_state, TCP_ESTABLISHED);
    EQUAL(information.tcpi_snd_mss, 1448);
    EQUAL(information.tcpi_unacked, 0);
    CHECK(information.tcpi_rtt > 0);
    CHECK(information.tcpi_snd_cwnd >= 10);
    EQUAL(information.tcpi_snd_ssthresh, 0x7fffffff);
    EQUAL((information.tcpi_options & TCPI_OPT_TIMESTAMPS) != 0, 1);
    EQUAL((information.tcpi_options & TCPI_OPT_SACK) != 0, 1);
    EQUAL((information.tcpi_options & TCPI_OPT_WSCALE) != 0, 1);
    EQUAL(peer("shutdown 1 1"), 0);
    EQUAL(poll_one(fd, POLLRDHUP, 5000), POLLRDHUP);
    length = 1;
    EQUAL(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &information, &length), 0);
    EQUAL(length, 1);
    EQUAL(information.tcpi_state, TCP_CLOSE_WAIT);
}

CASE(congestion_control_has_a_name)
{
    char name[16] = "";
    socklen_t length = sizeof name;
    int fd = accepted(1);
    EQUAL(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length), 0);
    CHECK(strlen(name) > 0);
    FAILS(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "nonesuch", 8), ENOENT);
}

CASE(unknown_options_are_refused)
{
    int value = 0;
    socklen_t length = sizeof value;
    int fd = accepted(1);
    FAILS(getsockopt(fd, SOL_SOCKET, 9999, &value, &length), ENOPROTOOPT);
    FAILS(setsockopt(fd, SOL_SOCKET, 9999, &value, sizeof value), ENOPROTOOPT);
    FAILS(getsockopt(fd, IPPROTO_TCP, 9999, &value, &length), ENOPROTOOPT);
    FAILS(setsockopt(fd, IPPROTO_TCP, 9999, &value, sizeof value), ENOPROTOOPT);
    FAILS(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, 1), EINVAL);
    FAILS(setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, sizeof value), EINVAL);
    FAILS(ioctl(fd, TIOCGWINSZ, &value), ENOTTY);
    EQUAL(isatty(fd), 0);
}

CASE(nonblocking_by_ioctl)
{
    char byte;
    int one = 1;
    int zero = 0;
    int fd = accepted(1);
    EQUAL(ioctl(fd, FIONBIO, &one), 0);
    EQUAL(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
    FAILS(read(fd, &byte, 1), EAGAIN);
    EQUAL(ioctl(fd, FIONBIO, &zero), 0);
    EQUAL(fcntl(fd, F_GETFL), O_RDWR);
    struct stat status;
    EQUAL(fstat(fd, &status), 0);
    CHECK(S_ISSOCK(status.st_mode));
    FAILS(lseek(fd, 0, SEEK_CUR), ESPIPE);
    FAILS(pread(fd, &byte, 1, 0), ESPIPE);
}
