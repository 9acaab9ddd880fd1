// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Connection handoff at tc. The node that gave a connection away holds the peer's packets while it moves and sends them to the
 * new owner afterwards; the new owner answers under the first node's address. There is no connection tracking and no forwarding
 * by the kernel in between, and checksums are changed by the helpers that know partial ones and many segments in one.
 */
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "common/parse.h"
#include "common/handoff_maps.h"

#ifndef BPF_F_IPV6
#define BPF_F_IPV6 (1ULL << 7)
#endif

/* On to the next program, then to the kernel. */
#define VERDICT_PASS TC_ACT_UNSPEC

struct segment {
	__be32 source[4];
	__be32 destination[4];
	__be16 source_port;
	__be16 destination_port;
	__u32 transport;
	__u8 flags;
	__u8 is_ipv6;
};

static __always_inline void *at(struct __sk_buff *context, __u32 offset, __u32 length)
{
	void *start = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;

	if (offset > 256 || start + offset + length > end)
		return NULL;
	return start + offset;
}

static __always_inline void map_ipv4(__be32 *to, __be32 address)
{
	to[0] = 0;
	to[1] = 0;
	to[2] = bpf_htonl(0xffff);
	to[3] = address;
}

/* 1: a TCP segment, 0: something else. IPv6 extension headers and later fragments are something else. */
static __always_inline int parse_segment(struct __sk_buff *context, struct segment *found)
{
	struct ethernet_header *ethernet = at(context, 0, sizeof(*ethernet));
	struct tcp_header *tcp;

	if (!ethernet)
		return 0;
	if (ethernet->type == bpf_htons(ETHERTYPE_IPV4)) {
		struct ipv4_header *ip = at(context, sizeof(*ethernet), sizeof(*ip));
		__u32 length;

		if (!ip || ip->protocol != PROTOCOL_TCP)
			return 0;
		length = ipv4_header_length(ip);
		if (!length || (ip->fragment & bpf_htons(IPV4_OFFSET_MASK | IPV4_MORE_FRAGMENTS)))
			return 0;
		map_ipv4(found->source, ip->source);
		map_ipv4(found->destination, ip->destination);
		found->transport = sizeof(*ethernet) + length;
		found->is_ipv6 = 0;
	} else if (ethernet->type == bpf_htons(ETHERTYPE_IPV6)) {
		struct ipv6_header *ip = at(context, sizeof(*ethernet), sizeof(*ip));

		if (!ip || ip->next != PROTOCOL_TCP)
			return 0;
		__builtin_memcpy(found->source, ip->source, sizeof(found->source));
		__builtin_memcpy(found->destination, ip->destination, sizeof(found->destination));
		found->transport = sizeof(*ethernet) + sizeof(*ip);
		found->is_ipv6 = 1;
	} else {
		return 0;
	}
	tcp = at(context, found->transport, sizeof(*tcp));
	if (!tcp) {
		if (bpf_skb_pull_data(context, found->transport + sizeof(*tcp)))
			return 0;
		tcp = at(context, found->transport, sizeof(*tcp));
		if (!tcp)
			return 0;
	}
	found->source_port = tcp->source;
	found->destination_port = tcp->destination;
	found->flags = tcp->flags;
	return 1;
}

static __always_inline int change_address(struct __sk_buff *context, const struct segment *segment, __u32 offset,
					  const __be32 *old, const __be32 *new)
{
	__u32 checksum = segment->transport + offsetof(struct tcp_header, checksum);

	if (!segment->is_ipv6) {
		if (bpf_l4_csum_replace(context, checksum, old[3], new[3], BPF_F_PSEUDO_HDR | sizeof(__be32)))
			return -1;
		if (bpf_l3_csum_replace(context, sizeof(struct ethernet_header) + offsetof(struct ipv4_header, checksum),
					old[3], new[3], sizeof(__be32)))
			return -1;
		return bpf_skb_store_bytes(context, offset, &new[3], sizeof(__be32), 0);
	}
	__be32 from[4];
	__be32 to[4];
	__s64 difference;

	__builtin_memcpy(from, old, sizeof(from));
	__builtin_memcpy(to, new, sizeof(to));
	difference = bpf_csum_diff(from, sizeof(from), to, sizeof(to), 0);
	if (difference < 0)
		return -1;
	/* Linux 6.16 has BPF_F_IPV6. */
	if (bpf_l4_csum_replace(context, checksum, 0, difference, BPF_F_PSEUDO_HDR | BPF_F_IPV6) &&
	    bpf_l4_csum_replace(context, checksum, 0, difference, BPF_F_PSEUDO_HDR))
		return -1;
	return bpf_skb_store_bytes(context, offset, to, sizeof(to), 0);
}

static __always_inline int change_port(struct __sk_buff *context, const struct segment *segment, __u32 offset, __be16 old,
				       __be16 new)
{
	if (old == new)
		return 0;
	if (bpf_l4_csum_replace(context, segment->transport + offsetof(struct tcp_header, checksum), old, new, sizeof(new)))
		return -1;
	return bpf_skb_store_bytes(context, segment->transport + offset, &new, sizeof(new), 0);
}

static __always_inline int decrease_hop_limit(struct __sk_buff *context, const struct segment *segment)
{
	if (segment->is_ipv6) {
		struct ipv6_header *ip = at(context, sizeof(struct ethernet_header), sizeof(*ip));

		if (!ip || ip->hop_limit <= 1)
			return -1;
		/* The hop limit is in no checksum. */
		ip->hop_limit--;
		return 0;
	}
	struct ipv4_header *ip = at(context, sizeof(struct ethernet_header), sizeof(*ip));
	__be16 old;
	__be16 new;
	__u8 ttl;

	if (!ip || ip->ttl <= 1)
		return -1;
	ttl = ip->ttl - 1;
	old = bpf_htons((__u16)(ip->ttl << 8));
	new = bpf_htons((__u16)(ttl << 8));
	if (bpf_l3_csum_replace(context, sizeof(struct ethernet_header) + offsetof(struct ipv4_header, checksum), old, new,
				sizeof(new)))
		return -1;
	return bpf_skb_store_bytes(context, sizeof(struct ethernet_header) + offsetof(struct ipv4_header, ttl), &ttl, sizeof(ttl),
				   0);
}

static __always_inline int drop(__u32 counter)
{
	handoff_count(counter);
	return TC_ACT_SHOT;
}

/* Into the daemon's hands. The Ethernet source says where it came in, for it may go on there when the move is given up. */
static __always_inline int hold(struct __sk_buff *context)
{
	__u32 first = 0;
	__u32 *tap = bpf_map_lookup_elem(&handoff_settings, &first);
	__u8 source[6] = { 0x02, 0x50 };
	__u32 interface = context->ifindex;

	if (!tap || !*tap)
		return drop(HANDOFF_COUNT_DROP_NO_HOLD);
	/* Held again after it was given back: where it first came in is known already. */
	if (interface != *tap) {
		__builtin_memcpy(source + 2, &interface, sizeof(interface));
		if (bpf_skb_store_bytes(context, offsetof(struct ethernet_header, source), source, sizeof(source), 0))
			return drop(HANDOFF_COUNT_DROP_MALFORMED);
	}
	handoff_count(HANDOFF_COUNT_HELD);
	return bpf_redirect(*tap, 0);
}

/* What the daemon gives back and nobody else has goes on as if it came in now. */
static __always_inline int go_on(struct __sk_buff *context)
{
	struct ethernet_header *ethernet = at(context, 0, sizeof(*ethernet));
	__u32 interface;

	if (!ethernet || ethernet->source[0] != 0x02 || ethernet->source[1] != 0x50)
		return drop(HANDOFF_COUNT_DROP_MALFORMED);
	__builtin_memcpy(&interface, ethernet->source + 2, sizeof(interface));
	handoff_count(HANDOFF_COUNT_RETURNED);
	return bpf_redirect(interface, BPF_F_INGRESS);
}

static __always_inline int redirect(struct __sk_buff *context, struct segment *segment, struct handoff_inbound *entry)
{
	__u32 destination = sizeof(struct ethernet_header) + (segment->is_ipv6 ? offsetof(struct ipv6_header, destination)
									       : offsetof(struct ipv4_header, destination));
	struct handoff_inbound copy = *entry;

	entry->last_seen = bpf_ktime_get_ns();
	__sync_fetch_and_add(&entry->packets, 1);
	__sync_fetch_and_add(&entry->bytes, context->len);
	if (decrease_hop_limit(context, segment))
		return drop(HANDOFF_COUNT_DROP_HOP_LIMIT);
	if (change_address(context, segment, destination, segment->destination, copy.target) ||
	    change_port(context, segment, offsetof(struct tcp_header, destination), segment->destination_port, copy.target_port))
		return drop(HANDOFF_COUNT_DROP_MALFORMED);
	handoff_count(HANDOFF_COUNT_REDIRECTED);
	handoff_add(HANDOFF_COUNT_REDIRECTED_BYTES, context->len);
	return bpf_redirect_neigh(copy.interface, NULL, 0, 0);
}

SEC("tc")
int pronghorn_handoff_ingress(struct __sk_buff *context)
{
	struct segment segment = {};
	struct handoff_connection key = {};
	struct handoff_inbound *entry;
	__u32 first = 0;
	__u32 *tap = bpf_map_lookup_elem(&handoff_settings, &first);
	int is_returned = tap && *tap == context->ifindex;

	if (!parse_segment(context, &segment))
		return is_returned ? TC_ACT_SHOT : VERDICT_PASS;
	__builtin_memcpy(key.remote, segment.source, sizeof(key.remote));
	__builtin_memcpy(key.local, segment.destination, sizeof(key.local));
	key.remote_port = segment.source_port;
	key.local_port = segment.destination_port;
	entry = bpf_map_lookup_elem(&handoff_inbound, &key);
	if (!entry)
		return is_returned ? go_on(context) : VERDICT_PASS;
	switch (entry->mode) {
	case HANDOFF_HOLD:
		return hold(context);
	case HANDOFF_TOMBSTONE:
		/* The peer uses its port again: that is a connection of its own. */
		if ((segment.flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_SYN) {
			bpf_map_delete_elem(&handoff_inbound, &key);
			return is_returned ? go_on(context) : VERDICT_PASS;
		}
		return redirect(context, &segment, entry);
	default:
		return redirect(context, &segment, entry);
	}
}

SEC("tc")
int pronghorn_handoff_egress(struct __sk_buff *context)
{
	struct segment segment = {};
	struct handoff_connection key = {};
	struct handoff_outbound *owned;
	struct handoff_outbound copy;
	__u32 source;

	if (!parse_segment(context, &segment))
		return VERDICT_PASS;
	__builtin_memcpy(key.remote, segment.destination, sizeof(key.remote));
	__builtin_memcpy(key.local, segment.source, sizeof(key.local));
	key.remote_port = segment.destination_port;
	key.local_port = segment.source_port;
	/* Timers of a socket that is being moved, or a reset for one that has been: the peer must not hear of it. */
	if (context->ingress_ifindex == 0 && bpf_map_lookup_elem(&handoff_inbound, &key))
		return drop(HANDOFF_COUNT_DROP_OWN);
	owned = bpf_map_lookup_elem(&handoff_outbound, &key);
	if (!owned)
		return VERDICT_PASS;
	if (!owned->is_live && (segment.flags & TCP_FLAG_RST))
		return drop(HANDOFF_COUNT_DROP_OWN);
	copy = *owned;
	__sync_fetch_and_add(&owned->packets, 1);
	__sync_fetch_and_add(&owned->bytes, context->len);
	source = sizeof(struct ethernet_header) + (segment.is_ipv6 ? offsetof(struct ipv6_header, source)
								   : offsetof(struct ipv4_header, source));
	if (change_address(context, &segment, source, segment.source, copy.source) ||
	    change_port(context, &segment, offsetof(struct tcp_header, source), segment.source_port, copy.source_port))
		return drop(HANDOFF_COUNT_DROP_MALFORMED);
	handoff_count(HANDOFF_COUNT_TRANSLATED);
	handoff_add(HANDOFF_COUNT_TRANSLATED_BYTES, context->len);
	return VERDICT_PASS;
}

char handoff_license[] SEC("license") = "Dual BSD/GPL";
