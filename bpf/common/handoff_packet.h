/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_HANDOFF_PACKET_H
#define PRONGHORN_HANDOFF_PACKET_H

/*
 * A TCP segment at tc: reading its headers, and changing its ends by the helpers that know partial checksums and many segments in one.
 */
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "handoff_maps.h"
#include "parse.h"

/* Of the kernel's socket.h, which only programs of user space can include. */
#ifndef AF_INET
#define AF_INET 2
#endif
#ifndef AF_INET6
#define AF_INET6 10
#endif

#ifndef BPF_F_IPV6
#define BPF_F_IPV6 (1ULL << 7)
#endif

/* On to the next program, then to the kernel. */
#define VERDICT_PASS TC_ACT_UNSPEC

#define VLAN_NUMBER_MASK 0x0fff

struct segment {
	__be32 source[4];
	__be32 destination[4];
	__be16 source_port;
	__be16 destination_port;
	__be32 sequence;
	__u32 transport;
	/* Octets of the TCP header. */
	__u32 header;
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

/* Of a VLAN on this interface: an interface of its own, with programs of its own. */
static __always_inline int is_of_vlan(struct __sk_buff *context)
{
	return context->vlan_present && (context->vlan_tci & VLAN_NUMBER_MASK);
}

/* 1: a TCP segment, 0: something else. IPv6 extension headers and fragments are something else. */
static __always_inline int parse_segment(struct __sk_buff *context, struct segment *found)
{
	struct ethernet_header *ethernet = at(context, 0, sizeof(*ethernet));
	struct tcp_header *tcp;

	if (!ethernet || is_of_vlan(context))
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
	found->sequence = tcp->sequence;
	found->header = (tcp->offset >> 4) * 4;
	found->flags = tcp->flags;
	return found->header >= sizeof(*tcp);
}

/* What the change of an address adds to a checksum, or less than 0; `to` becomes a copy of the new one for the helpers. */
static __always_inline __s64 ipv6_difference(const __be32 *old, const __be32 *new, __be32 *to)
{
	__be32 from[4];

	__builtin_memcpy(from, old, sizeof(from));
	__builtin_memcpy(to, new, sizeof(from));
	return bpf_csum_diff(from, sizeof(from), to, sizeof(from), 0);
}

static __always_inline int change_ipv6_pseudo(struct __sk_buff *context, __u32 checksum, __s64 difference)
{
	/* Linux 6.16 has BPF_F_IPV6. */
	return bpf_l4_csum_replace(context, checksum, 0, difference, BPF_F_PSEUDO_HDR | BPF_F_IPV6) &&
	       bpf_l4_csum_replace(context, checksum, 0, difference, BPF_F_PSEUDO_HDR);
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
	__be32 to[4];
	__s64 difference = ipv6_difference(old, new, to);

	if (difference < 0 || change_ipv6_pseudo(context, checksum, difference))
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

static __always_inline int decrease_hop_limit(struct __sk_buff *context, int is_ipv6)
{
	if (is_ipv6) {
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

/* To the owner, whose hardware address the kernel finds. */
static __always_inline int send_on(const struct handoff_inbound *entry)
{
	struct bpf_redir_neigh hop = {};

	if (!(entry->via[0] | entry->via[1] | entry->via[2] | entry->via[3]))
		return bpf_redirect_neigh(entry->interface, NULL, 0, 0);
	if (!entry->via[0] && !entry->via[1] && entry->via[2] == bpf_htonl(0xffff)) {
		hop.nh_family = AF_INET;
		hop.ipv4_nh = entry->via[3];
	} else {
		hop.nh_family = AF_INET6;
		__builtin_memcpy(hop.ipv6_nh, entry->via, sizeof(hop.ipv6_nh));
	}
	return bpf_redirect_neigh(entry->interface, &hop, sizeof(hop), 0);
}

static __always_inline int drop(__u32 counter)
{
	handoff_count(counter);
	return TC_ACT_SHOT;
}

#endif
