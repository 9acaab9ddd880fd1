// SPDX-License-Identifier: Apache-2.0
// fork, vfork, exec, daemons.
#include "conformance.h"

#include <spawn.h>
#include <sys/resource.h>

extern char **environ;

static void expect_works(int fd, int slot, size_t at)
{
    write_exactly(fd, 100, at);
    EQUAL(peer("echo %d 100", slot), 100);
    read_exactly(fd, 100, at);
}

static void expect_success(pid_t child)
{
    int status = -1;
    EQUAL(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    EQUAL(WEXITSTATUS(status), 0);
}

CASE(forked_child_leaves_the_parent_alone)
{
    int fd = accepted(1);
    expect_works(fd, 1, 0);
    for (int i = 0; i < 5; i++)
    {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0)
        {
            // As BGSAVE does: a file is written, sockets are closed, the child ends by exit(3).
            char path[] = "/tmp/conformance-XXXXXX";
            int file = mkstemp(path);
            CHECK(file >= 0 && unlink(path) == 0);
            write_exactly(file, 100000, 0);
            EQUAL(close(fd), 0);
            exit(0);
        }

        expect_works(fd, 1, 100 + 100 * (size_t)i);
        expect_success(child);
    }

    expect_path(fd);
    EQUAL(close(fd), 0);
    EQUAL(peer("drain 1"), 0);
}

CASE(forked_child_uses_the_kernel)
{
    int fd = accepted(1);
    pid_t child = fork();
    if (child == 0)
    {
        struct sockaddr_in to = address_of(peer_address, base_port + 1);
        EQUAL(peer("listen 15 %d 16", base_port + 1), 0);
        int made = socket(AF_INET, SOCK_STREAM, 0);
        EQUAL(connect(made, (struct sockaddr *)&to, sizeof to), 0);
        EQUAL(peer("accept 15 2"), 0);
        expect_works(made, 2, 0);
        int epoll = epoll_create1(0);
        watch(epoll, made, EPOLLOUT);
        EQUAL(wait_one(epoll, 0), EPOLLOUT);
        exit(0);
    }

    expect_success(child);
    expect_works(fd, 1, 0);
}

static void *look_once(void *listener)
{
    EQUAL(poll_one(*(const int *)listener, POLLIN, 0), 0);
    return NULL;
}

static bool is_stack_loaded(void)
{
    char line[512];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    while (!found && fgets(line, sizeof line, maps) != NULL)
    {
        found = strstr(line, "libpronghorn-core") != NULL;
    }

    fclose(maps);
    return found;
}

// The first look starts the stack: a fork meanwhile must not take half of it along, nor the lock of the start.
CASE(fork_while_another_thread_first_looks_leaves_a_child_that_works)
{
    pthread_t thread;
    int listener = listening(base_port);
    EQUAL(pthread_create(&thread, NULL, look_once, &listener), 0);
    while (on_stack && !is_stack_loaded())
    {
    }

    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
    {
        alarm(20);
        int own = listening(base_port + 1);
        EQUAL(poll_one(own, POLLIN, 0), 0);
        exit(0);
    }

    expect_success(child);
    EQUAL(pthread_join(thread, NULL), 0);
    EQUAL(peer("connect 1 %s %d", own_address, base_port), 0);
    int fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    expect_works(fd, 1, 0);
    expect_path(fd);
}

// Two connections of a listener of the kernel, one after the other.
static void serve_two(int ready)
{
    int listener = listening(base_port);
    CHECK(write(ready, "r", 1) == 1);
    for (int slot = 2; slot <= 3; slot++)
    {
        char byte;
        int fd = accept(listener, NULL, NULL);
        CHECK(fd >= 0);
        EQUAL(read(fd, &byte, 1), 1);
        CHECK(write(ready, &byte, 1) == 1);
        EQUAL(close(fd), 0);
    }

    exit(0);
}

CASE(port_with_an_old_connection_may_be_listened_on_by_another)
{
    int ends[2];
    char byte;
    int listener = listening(base_port);
    EQUAL(poll_one(listener, POLLIN, 0), 0);
    EQUAL(peer("connect 1 %s %d", own_address, base_port), 0);
    int fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    expect_works(fd, 1, 0);
    expect_path(fd);
    EQUAL(close(listener), 0);
    EQUAL(pipe(ends), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
    {
        serve_two(ends[1]);
    }

    EQUAL(read(ends[0], &byte, 1), 1);
    EQUAL(peer("connect 2 %s %d", own_address, base_port), 0);
    EQUAL(peer("send 2 1"), 1);
    EQUAL(read(ends[0], &byte, 1), 1);
    expect_works(fd, 1, 100);
    // Now only its end is left of it (FIN_WAIT2: the peer does not close).
    EQUAL(close(fd), 0);
    EQUAL(peer("connect 3 %s %d", own_address, base_port), 0);
    EQUAL(peer("send 3 1"), 1);
    EQUAL(read(ends[0], &byte, 1), 1);
    EQUAL(peer("drain 1"), 0);
    expect_success(child);
}

CASE(child_that_is_killed_changes_nothing)
{
    int fd = accepted(1);
    pid_t child = fork();
    if (child == 0)
    {
        pause();
    }

    EQUAL(kill(child, SIGKILL), 0);
    EQUAL(waitpid(child, NULL, 0), child);
    expect_works(fd, 1, 0);
    EQUAL(peer("close 1"), 0);
    int again = accepted(2);
    expect_works(again, 2, 0);
}

CASE(vforked_child_may_close_and_copy)
{
    int fd = accepted(1);
    pid_t child = vfork();
    if (child == 0)
    {
        dup2(fd, 500);
        close(500);
        close(fd);
        execl("/bin/true", "true", (char *)NULL);
        _exit(1);
    }

    expect_success(child);
    expect_works(fd, 1, 0);
    expect_path(fd);
}

CASE(spawned_programs_run)
{
    pid_t child;
    posix_spawn_file_actions_t actions;
    char *arguments[] = {"true", NULL};
    int fd = accepted(1);
    EQUAL(posix_spawn_file_actions_init(&actions), 0);
    EQUAL(posix_spawn_file_actions_addclose(&actions, fd), 0);
    EQUAL(posix_spawn_file_actions_adddup2(&actions, 2, 1), 0);
    EQUAL(posix_spawn(&child, "/bin/true", &actions, NULL, arguments, environ), 0);
    expect_success(child);
    EQUAL(system("true"), 0);
    FILE *output = popen("echo hello", "r");
    char line[16] = "";
    CHECK(output != NULL && fgets(line, sizeof line, output) != NULL);
    EQUAL(strcmp(line, "hello\n"), 0);
    EQUAL(pclose(output), 0);
    expect_works(fd, 1, 0);
}

CASE(executed_program_uses_the_kernel_or_its_own_stack)
{
    // While we hold the device the new program runs on the kernel: quietly, since it makes no connection.
    int fd = accepted(1);
    EQUAL(system("exec 2>&1; test -z \"$(/bin/true)\""), 0);
    expect_works(fd, 1, 0);
}

CASE(daemon_accepts_what_its_parent_listened_for)
{
    int ends[2];
    int listener = listening(base_port);
    EQUAL(pipe(ends), 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
    {
        CHECK(setsid() >= 0);
        pid_t second = fork();
        if (second != 0)
        {
            exit(0);
        }

        int epoll = epoll_create1(0);
        watch(epoll, listener, EPOLLIN);
        EQUAL(wait_one(epoll, 0), 0);
        CHECK(write(ends[1], "r", 1) == 1);
        EQUAL(wait_one(epoll, 10000), EPOLLIN);
        int fd = accept(listener, NULL, NULL);
        CHECK(fd >= 0);
        expect_path(fd);
        write_exactly(fd, 100, 0);
        CHECK(write(ends[1], "o", 1) == 1);
        read_exactly(fd, 100, 0);
        exit(0);
    }

    char byte = 0;
    expect_success(child);
    EQUAL(close(listener), 0);
    EQUAL(read(ends[0], &byte, 1), 1);
    EQUAL(byte, 'r');
    EQUAL(peer("connect 1 %s %d", own_address, base_port), 0);
    EQUAL(peer("receive 1 100"), 100);
    EQUAL(read(ends[0], &byte, 1), 1);
    EQUAL(byte, 'o');
    EQUAL(peer("send 1 100"), 100);
    EQUAL(peer("drain 1"), 0);
}

CASE(killed_program_leaves_a_port_that_refuses)
{
    int ends[2];
    EQUAL(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0)
    {
        int fd = accepted(1);
        write_exactly(fd, 10, 0);
        CHECK(write(ends[1], "r", 1) == 1);
        pause();
    }

    char byte;
    EQUAL(read(ends[0], &byte, 1), 1);
    EQUAL(kill(child, SIGKILL), 0);
    EQUAL(waitpid(child, NULL, 0), child);
    EQUAL(peer("receive 1 10"), 10);
    EQUAL(peer("connect 2 %s %d", own_address, base_port), -ECONNREFUSED);
    int fd = accepted(3);
    expect_works(fd, 3, 0);
}

static long ticks(void)
{
    struct rusage usage;
    EQUAL(getrusage(RUSAGE_SELF, &usage), 0);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

CASE(idle_program_uses_no_processor)
{
    int fd = accepted(1);
    int epoll = epoll_create1(0);
    watch(epoll, fd, EPOLLIN);
    long before = ticks();
    EQUAL(wait_one(epoll, 2000), 0);
    CHECK(ticks() - before <= 20000);
    EQUAL(peer("send 1 1"), 1);
    EQUAL(wait_one(epoll, 5000), EPOLLIN);
}
