/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_ERROR_LIMIT_H
#define PRONGHORN_ERROR_LIMIT_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

/* ICMP errors per processor: one a millisecond, a hundred at once. Resets are not limited, as in the kernel. */
#define REJECT_INTERVAL_NS 1000000ull
#define REJECT_BURST_NS 100000000ull

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} reject_schedule SEC(".maps");

static __always_inline int reject_is_allowed(__u64 now)
{
	__u32 zero = 0;
	__u64 *next = bpf_map_lookup_elem(&reject_schedule, &zero);

	if (!next)
		return 0;
	if (*next < now)
		*next = now;
	if (*next - now > REJECT_BURST_NS)
		return 0;
	*next += REJECT_INTERVAL_NS;
	return 1;
}

#endif
