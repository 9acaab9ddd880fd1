/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_HANDOFF_SEEK_H
#define PRONGHORN_HANDOFF_SEEK_H

/*
 * A balancer that loses a node, or gets one, sends the packets of connections that began at another node here. Where the address is
 * one that several nodes have, such a connection may have moved, and its owner may be there: the daemon asks, before the kernel says
 * that there is no connection.
 */
#include <linux/errno.h>

#include "handoff_packet.h"

/* Connections asked for, per processor: one in half a millisecond, and many at once, for that is how they come. */
#define SEEK_INTERVAL_NS 500000ull
#define SEEK_BURST_NS 1000000000ull

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} seek_schedule SEC(".maps");

static __always_inline int seek_is_allowed(__u64 now)
{
	__u32 first = 0;
	__u64 *next = bpf_map_lookup_elem(&seek_schedule, &first);

	if (!next)
		return 0;
	if (*next < now)
		*next = now;
	if (*next - now > SEEK_BURST_NS)
		return 0;
	*next += SEEK_INTERVAL_NS;
	return 1;
}

/* The end of a handshake of which the listener kept nothing: a connection of this node's begins with it. */
static __always_inline int is_cookie(struct __sk_buff *context, struct bpf_sock *listener, const struct segment *segment)
{
	struct tcp_header *tcp = at(context, segment->transport, sizeof(*tcp));
	void *ip;

	if (!tcp)
		return 0;
	if (segment->is_ipv6) {
		ip = at(context, sizeof(struct ethernet_header), sizeof(struct ipv6_header));
		return ip && !bpf_tcp_check_syncookie(listener, ip, sizeof(struct ipv6_header), (struct tcphdr *)tcp, sizeof(*tcp));
	}
	ip = at(context, sizeof(struct ethernet_header), sizeof(struct ipv4_header));
	return ip && !bpf_tcp_check_syncookie(listener, ip, sizeof(struct ipv4_header), (struct tcphdr *)tcp, sizeof(*tcp));
}

/* Whether a segment would be answered by a reset, at a listener of this node: of a connection that began elsewhere, or never. */
static __always_inline int is_stray(struct __sk_buff *context, const struct segment *segment)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *found;
	int is_stray;

	if (segment->is_ipv6) {
		__builtin_memcpy(tuple.ipv6.saddr, segment->source, sizeof(tuple.ipv6.saddr));
		__builtin_memcpy(tuple.ipv6.daddr, segment->destination, sizeof(tuple.ipv6.daddr));
		tuple.ipv6.sport = segment->source_port;
		tuple.ipv6.dport = segment->destination_port;
		found = bpf_skc_lookup_tcp(context, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	} else {
		tuple.ipv4.saddr = segment->source[3];
		tuple.ipv4.daddr = segment->destination[3];
		tuple.ipv4.sport = segment->source_port;
		tuple.ipv4.dport = segment->destination_port;
		found = bpf_skc_lookup_tcp(context, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	}
	if (!found)
		return 0;
	is_stray = found->state == BPF_TCP_LISTEN && !is_cookie(context, found, segment);
	bpf_sk_release(found);
	return is_stray;
}

enum seek_outcome {
	/* It is the kernel's. */
	SEEK_NOTHING,
	/* It is asked for: this is its first packet. */
	SEEK_BEGUN,
	/* It is asked for already. */
	SEEK_UNDER_WAY,
	/* Too many are asked for. The peer sends again; a reset would end what may well be there. */
	SEEK_TOO_MANY,
};

static __always_inline enum seek_outcome seek(struct __sk_buff *context, const struct segment *segment,
					      const struct handoff_connection *key)
{
	struct handoff_inbound entry = { .mode = HANDOFF_SOUGHT };
	__u64 now = bpf_ktime_get_ns();
	__u32 first = 0;
	__u64 *until = bpf_map_lookup_elem(&handoff_seeking, &first);
	int error;

	if (!until || *until < now)
		return SEEK_NOTHING;
	if ((segment->flags & (TCP_FLAG_SYN | TCP_FLAG_RST | TCP_FLAG_ACK)) != TCP_FLAG_ACK ||
	    !bpf_map_lookup_elem(&handoff_shared, key->local) || !is_stray(context, segment))
		return SEEK_NOTHING;
	if (!seek_is_allowed(now))
		return SEEK_TOO_MANY;
	entry.last_seen = now;
	error = bpf_map_update_elem(&handoff_inbound, key, &entry, BPF_NOEXIST);
	/* A table that is full is no reason to leave a peer without an answer. */
	return !error ? SEEK_BEGUN : error == -EEXIST ? SEEK_UNDER_WAY : SEEK_NOTHING;
}

#endif
