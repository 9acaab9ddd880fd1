// SPDX-License-Identifier: Apache-2.0
// Generated from interposers.def: the ways to libc's functions, and the trampolines that need nothing more.
#include "preload.h"

#include <dlfcn.h>

extern ssize_t __read_chk(int fd, void *buffer, size_t length, size_t room);
extern ssize_t __recv_chk(int fd, void *buffer, size_t length, size_t room, int flags);
extern ssize_t __recvfrom_chk(int fd, void *buffer, size_t length, size_t room, int flags, __SOCKADDR_ARG address,
                              socklen_t *size);

// The stubs that every pointer starts with.
#define TRAMPOLINE(type, name, parameters, arguments, descriptor, ours) SPECIAL(type, name, parameters, arguments)
#define TRAMPOLINE_ALL TRAMPOLINE
#define SPECIAL(type, name, parameters, arguments) \
    static type first_##name parameters            \
    {                                              \
        real_resolve();                            \
        return real_##name arguments;              \
    }                                              \
    type(*real_##name) parameters = first_##name;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include "interposers.def"
#pragma GCC diagnostic pop
#undef SPECIAL

static int missing(void)
{
    errno = ENOSYS;
    return -1;
}

static void *lookup(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    return found != NULL ? found : (void *)missing;
}

void real_resolve(void)
{
#define SPECIAL(type, name, parameters, arguments) *(void **)&real_##name = lookup(#name);
#include "interposers.def"
#undef SPECIAL
}

#undef TRAMPOLINE
#undef TRAMPOLINE_ALL
#define SPECIAL(type, name, parameters, arguments)
#define TRAMPOLINE(type, name, parameters, arguments, descriptor, ours) \
    EXPORT type name parameters                                         \
    {                                                                   \
        if (likely(!descriptor_is_socket(descriptor)))                  \
        {                                                               \
            return real_##name arguments;                               \
        }                                                               \
        return ours;                                                    \
    }
#define TRAMPOLINE_ALL(type, name, parameters, arguments, descriptor, ours) \
    EXPORT type name parameters                                             \
    {                                                                       \
        if (likely(descriptor_is_kernel(descriptor)))                       \
        {                                                                   \
            return real_##name arguments;                                   \
        }                                                                   \
        return ours;                                                        \
    }
#include "interposers.def"

__attribute__((constructor)) static void initialize(void)
{
    real_resolve();
    descriptor_table_open();
    wait_configure();
    fork_prepare_handlers();
}
