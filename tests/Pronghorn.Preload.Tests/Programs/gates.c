// SPDX-License-Identifier: Apache-2.0
// What must not happen in steady state. The one file that knows of Pronghorn: it asks the preloaded library.
#include "conformance.h"

#include <dlfcn.h>

static void serve_requests(int epoll, int fd, long count)
{
    uint8_t buffer[256];
    for (long done = 0; done < count;)
    {
        EQUAL(wait_one(epoll, 10000), EPOLLIN);
        ssize_t got = read(fd, buffer, sizeof buffer);
        CHECK(got > 0);
        EQUAL(write(fd, buffer, (size_t)got), got);
        done += got;
    }
}

CASE(steady_state_allocates_nothing)
{
    enum { WARM = 2000, REQUESTS = 100000 };
    long (*allocated)(void);
    *(void **)&allocated = dlsym(RTLD_DEFAULT, "pronghorn_debug_allocated_bytes");
    EQUAL(allocated != NULL, on_stack);
    int fd = accepted(1);
    int epoll = epoll_create1(0);
    set_nonblocking(fd);
    watch(epoll, fd, EPOLLIN);
    EQUAL(peer("later 0 requests 1 %d", WARM), 0);
    serve_requests(epoll, fd, WARM);
    EQUAL(peer_result(), WARM);
    long before = on_stack ? allocated() : 0;
    int requests = on_stack ? REQUESTS : WARM;
    EQUAL(peer("later 0 requests 1 %d", requests), 0);
    serve_requests(epoll, fd, requests);
    EQUAL(peer_result(), requests);
    // Connections that come and go, too.
    for (int i = 0; i < 200; i++)
    {
        int other = accepted(2);
        watch(epoll, other, EPOLLIN);
        write_exactly(other, 100, 0);
        EQUAL(peer("receive 2 100"), 100);
        EQUAL(close(other), 0);
        EQUAL(peer("drain 2"), 0);
        EQUAL(peer("close 2"), 0);
        other = connected(3);
        write_exactly(other, 100, 0);
        EQUAL(peer("receive 3 100"), 100);
        EQUAL(close(other), 0);
        EQUAL(peer("drain 3"), 0);
        EQUAL(peer("close 3"), 0);
    }

    EQUAL(on_stack ? allocated() - before : 0, 0);
}
