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

/* Connections asked for, by all processors: 5,000 a second, and 10,000 at once, for that is how they come. */
#define SEEK_INTERVAL_NS 200000ull
#define SEEK_BURST_NS 2000000000ull

/* A search ends before that: this one has none, as its first packet was lost on the way to the daemon. */
#define SEEK_LOST_NS 3000000000ull

/* Two processors at once may both take one turn: it bounds what is asked for, and counts nothing. */
static __always_inline int seek_is_allowed(struct handoff_seeking *seeking, __u64 now)
{
	__u64 next = seeking->next;

	if (next < now)
		next = now;
	if (next - now > SEEK_BURST_NS)
		return 0;
	seeking->next = next + SEEK_INTERVAL_NS;
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
	/* Nobody asks now. */
	SEEK_NO_DAEMON,
};

static __always_inline enum seek_outcome seek(struct __sk_buff *context, const struct segment *segment,
					      const struct handoff_connection *key)
{
	struct handoff_inbound entry = { .mode = HANDOFF_SOUGHT };
	__u64 now = bpf_ktime_get_ns();
	__u32 first = 0;
	struct handoff_seeking *seeking = bpf_map_lookup_elem(&handoff_seeking, &first);
	int error;

	if (!seeking || (seeking->asks_until < now && seeking->drops_until < now))
		return SEEK_NOTHING;
	/* A reset counts: an owner that did not hear of it would keep the connection. */
	if ((segment->flags & TCP_FLAG_SYN) || !(segment->flags & (TCP_FLAG_RST | TCP_FLAG_ACK)) ||
	    !bpf_map_lookup_elem(&handoff_shared, key->local) || !is_stray(context, segment))
		return SEEK_NOTHING;
	if (seeking->asks_until < now)
		return SEEK_NO_DAEMON;
	if (!seek_is_allowed(seeking, now))
		return SEEK_TOO_MANY;
	entry.last_seen = now;
	error = bpf_map_update_elem(&handoff_inbound, key, &entry, BPF_NOEXIST);
	return !error ? SEEK_BEGUN : error == -EEXIST ? SEEK_UNDER_WAY : SEEK_TOO_MANY;
}

static __always_inline int is_daemon_expected(void)
{
	__u32 first = 0;
	struct handoff_seeking *seeking = bpf_map_lookup_elem(&handoff_seeking, &first);

	return seeking && seeking->drops_until >= bpf_ktime_get_ns();
}

/* Whether a connection that is sought has to be asked for once more. */
static __always_inline int is_search_lost(struct handoff_inbound *entry)
{
	__u64 now = bpf_ktime_get_ns();

	if (now - entry->last_seen < SEEK_LOST_NS)
		return 0;
	entry->last_seen = now;
	return 1;
}

#endif
