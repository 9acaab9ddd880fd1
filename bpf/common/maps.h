/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_MAPS_H
#define PRONGHORN_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "consts.h"

/*
 * A local end that user space owns. An IPv4 address is held as IPv4-mapped (::ffff:a.b.c.d), so that
 * one table serves both families. Everything is in network byte order.
 */
struct owned_key {
	__u8 protocol;
	__u8 reserved;
	__be16 port;
	__be32 address[4];
};

/* The kernel may still hold connections of this port: ask it before taking a segment. */
#define OWNED_CHECK_KERNEL 1

/*
 * User space does not listen here (any more), only what was begun goes on: a new connection is the
 * kernel's if it listens there.
 */
#define OWNED_LINGERING 2

struct owned_value {
	__u32 flags;
};

/* The order is the ABI of the counters map: SteeringCounter in C#. Append only. */
enum counter {
	COUNTER_REDIRECTED,
	COUNTER_PASSED,
	COUNTER_PASSED_KERNEL_SOCKET,
	COUNTER_MALFORMED,
	COUNTER_ICMP_REDIRECTED,
	COUNTER_FRAGMENT_REDIRECTED,
	COUNTER_FRAGMENT_PASSED,
	COUNTER_NO_SOCKET,
	COUNTER_COUNT,
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAXIMUM_OWNED_PORTS);
	__type(key, struct owned_key);
	__type(value, struct owned_value);
} owned_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, MAXIMUM_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
} xsks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTER_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

static __always_inline void count(enum counter which)
{
	__u32 key = which;
	__u64 *value = bpf_map_lookup_elem(&counters, &key);

	if (value)
		(*value)++;
}

#endif
