// SPDX-License-Identifier: Apache-2.0
// The C# half: loaded and started when the program first does something that needs it.
#include "preload.h"

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#define FINISH_LIMIT_NS 3000000000LL

enum
{
    STATE_NEW,
    STATE_RUNNING,
    STATE_OFF,
};

extern int64_t pronghorn_debug_allocated_bytes(void);
extern int64_t pronghorn_debug_sleepers(void);

struct pronghorn_core core;
int core_wait_descriptors[2] = {-1, -1};
char core_internal_data;

static atomic_int state;
static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static int private_descriptors[PRONGHORN_MOST_HELD];
static int private_count;

bool core_running(void)
{
    return atomic_load_explicit(&state, memory_order_acquire) == STATE_RUNNING;
}

// For the test that nothing is allocated in steady state: managed bytes allocated since the start.
EXPORT int64_t pronghorn_debug_allocated_bytes(void)
{
    return core_running() ? core.allocated_bytes() : 0;
}

// For the test that a cancelled thread leaves nothing behind: threads that sleep in a call of ours.
EXPORT int64_t pronghorn_debug_sleepers(void)
{
    return wait_blocked_count();
}

bool core_possible(void)
{
    static atomic_int disabled = -1;
    int known = atomic_load_explicit(&disabled, memory_order_relaxed);
    if (unlikely(known < 0))
    {
        const char *value = getenv("PRONGHORN_DISABLE");
        known = value != NULL && value[0] != '\0' && strcmp(value, "0") != 0;
        atomic_store_explicit(&disabled, known, memory_order_relaxed);
    }

    return !known && descriptor_classes != NULL && atomic_load_explicit(&state, memory_order_relaxed) != STATE_OFF;
}

void core_disable(void)
{
    atomic_store(&state, STATE_OFF);
}

// While another thread starts the core, a fork waits: the child would have half a runtime, and the lock for ever.
void core_hold_start(void)
{
    pthread_mutex_lock(&start_lock);
}

void core_release_start(void)
{
    pthread_mutex_unlock(&start_lock);
}

// The program must not close what the core holds, nor a child keep it.
static void claim_descriptors(const struct pronghorn_start *start)
{
    private_count = 0;
    for (int i = 0; i < start->held_count && i < PRONGHORN_MOST_HELD; i++)
    {
        descriptor_set_class(start->held[i], PRONGHORN_PRIVATE);
        private_descriptors[private_count++] = start->held[i];
    }
}

// A child must not hold the device's queue or the steering program after its parent has gone.
void core_close_in_child(void)
{
    for (int i = 0; i < private_count; i++)
    {
        real_close(private_descriptors[i]);
    }

    private_count = 0;
}

static pronghorn_core_start_function load(char *error, size_t length)
{
    char path[PATH_MAX];
    const char *stated = getenv("PRONGHORN_LIBRARY_PATH");
    Dl_info self;
    if (stated != NULL && stated[0] != '\0')
    {
        snprintf(path, sizeof path, "%s", stated);
    }
    else if (dladdr(&core_internal_data, &self) != 0 && strlen(self.dli_fname) < sizeof path - 32)
    {
        char own[PATH_MAX];
        snprintf(own, sizeof own, "%s", self.dli_fname);
        snprintf(path, sizeof path, "%.4000s/libpronghorn-core.so", dirname(own));
    }
    else
    {
        snprintf(path, sizeof path, "libpronghorn-core.so");
    }

    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    void *start = library != NULL ? dlsym(library, "pronghorn_core_start") : NULL;
    if (start == NULL)
    {
        const char *reason = dlerror();
        snprintf(error, length, "%.200s cannot be loaded (%.200s)\nInstall it beside libpronghorn.so", path,
                 reason != NULL ? reason : "no entry point");
    }

    pronghorn_core_start_function function;
    *(void **)&function = start;
    return function;
}

static bool start_core(uint32_t address, bool is_peer, char *error, size_t length)
{
    pronghorn_core_start_function function = load(error, length);
    if (function == NULL)
    {
        return false;
    }

    struct pronghorn_start start = {
        .abi = PRONGHORN_ABI,
        .descriptors = (int32_t)descriptor_count,
        .internal_data = (uint64_t)(uintptr_t)&core_internal_data,
        .address = address,
        .is_peer = is_peer,
        .interface = getenv("PRONGHORN_INTERFACE"),
        .kernel = &kernel_calls,
        .counters = (const int64_t *)counters,
        .error = error,
        .error_length = (int32_t)length,
        .wait_descriptors = {-1, -1},
    };
    struct pronghorn_core made;
    if (function(&start, &made) != 0)
    {
        return false;
    }

    core = made;
    memcpy(core_wait_descriptors, start.wait_descriptors, sizeof core_wait_descriptors);
    claim_descriptors(&start);
    return true;
}

// The runtime ignores SIGPIPE for the whole process and starts a thread: neither may change what the program sees.
static bool start_quietly(uint32_t address, bool is_peer, char *error, size_t length)
{
    struct sigaction pipe_action;
    sigset_t all;
    sigset_t saved;
    sigaction(SIGPIPE, NULL, &pipe_action);
    sigfillset(&all);
    sigdelset(&all, SIGRTMIN);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGFPE);
    pthread_sigmask(SIG_SETMASK, &all, &saved);
    bool started = start_core(address, is_peer, error, length);
    sigaction(SIGPIPE, &pipe_action, NULL);
    if (started)
    {
        watchdog_start();
    }

    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    return started;
}

// A daemon's standard error is closed, thrown away, or its number by now that of a connection, whose peer must not get a
// line of ours. (That of a service is a Unix socket.)
static bool nobody_reads(int fd)
{
    struct stat status;
    int domain = 0;
    socklen_t length = sizeof domain;
    return fstat(fd, &status) != 0 || (S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3))
           || (S_ISSOCK(status.st_mode)
               && (real_getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) != 0 || domain != AF_UNIX));
}

// Not by syslog(3): that is the program's, with its name and its descriptor.
static void tell_system_log(const char *line)
{
    const struct sockaddr_un log = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    char message[PIPE_BUF];
    int length = snprintf(message, sizeof message, "<%d>%s[%d]: %s", LOG_DAEMON | LOG_WARNING,
                          program_invocation_short_name, (int)getpid(), line);
    int fd = real_socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
    {
        size_t size = length < (int)sizeof message ? (size_t)length : sizeof message - 1;
        real_sendto(fd, message, size, MSG_NOSIGNAL, (const struct sockaddr *)(const void *)&log, sizeof log);
        real_close(fd);
    }
}

// One line: what was found, what follows from it, what to do.
static void warn(const char *error, const char *consequence)
{
    const char *advice = strchr(error, '\n');
    int length = advice != NULL ? (int)(advice - error) : (int)strlen(error);
    char line[1024];
    snprintf(line, sizeof line, "pronghorn: %.*s%s%s%s", length, error, consequence, advice != NULL ? ". " : "",
             advice != NULL ? advice + 1 : "");
    if (nobody_reads(STDERR_FILENO))
    {
        tell_system_log(line);
    }
    else
    {
        dprintf(STDERR_FILENO, "%s\n", line);
    }
}

static bool is_strict(void)
{
    const char *strict = getenv("PRONGHORN_STRICT");
    return strict != NULL && strict[0] != '\0' && strcmp(strict, "0") != 0;
}

static void report(const char *error)
{
    bool fatal = is_strict();
    warn(error, fatal ? "" : "; running on the kernel's path");
    if (fatal)
    {
        _exit(1);
    }
}

// A socket that is for the stack stays on the kernel's path: told once, counted each time.
void core_note_fallback(int error)
{
    static atomic_bool told;
    count(PRONGHORN_COUNT_FALLBACK);
    if (!atomic_exchange(&told, true))
    {
        char line[160];
        snprintf(line, sizeof line, "a socket cannot be taken over (error %d)", -error);
        warn(line, "; it stays on the kernel's path. The counter fallbacks says how many do");
    }
}

// A program that serves is asked to end, as by its supervisor, so that it can save what it holds; it is not torn down.
void core_tell(const char *line, int lost)
{
    bool ends = lost != 0 && is_strict();
    warn(line, ends ? "; as the mode is strict, the program is asked to end (SIGTERM)" : "");
    if (ends)
    {
        kill(getpid(), SIGTERM);
    }
}

// What the program wrote last is not in the kernel: the process stays until the peers have it, but not for ever.
static void drain_connections(void)
{
    struct pronghorn_round round = {0};
    int64_t limit = now_ns() + FINISH_LIMIT_NS;
    while (core_enter())
    {
        core.poll(&round);
        core_leave();
        if (round.unsent == 0 || round.now >= limit)
        {
            return;
        }

        int64_t until = round.next_deadline < limit ? round.next_deadline : limit;
        int64_t left = until > round.now ? until - round.now : 0;
        struct timespec timeout = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        struct pollfd device = {.fd = core_wait_descriptors[0], .events = POLLIN};
        real_ppoll(&device, 1, &timeout, NULL);
    }
}

static void finish(void)
{
    if (core_running() && !in_shared_memory_child() && core_enter())
    {
        core.finish();
        core_leave();
        drain_connections();
    }
}

bool core_ensure(uint32_t address, bool is_peer)
{
    int known = atomic_load_explicit(&state, memory_order_acquire);
    if (likely(known != STATE_NEW))
    {
        return known == STATE_RUNNING;
    }

    int saved_errno = errno;
    pthread_mutex_lock(&start_lock);
    if (atomic_load(&state) == STATE_NEW)
    {
        char error[512] = "";
        bool started = start_quietly(address, is_peer, error, sizeof error);
        if (started)
        {
            atexit(finish);
        }

        atomic_store(&state, started ? STATE_RUNNING : STATE_OFF);
        if (!started)
        {
            count(PRONGHORN_COUNT_FALLBACK);
            report(error);
        }
        else if (error[0] != '\0')
        {
            warn(error, "");
        }
    }

    pthread_mutex_unlock(&start_lock);
    errno = saved_errno;
    return core_running();
}
