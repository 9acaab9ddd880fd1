/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_HANDOFF_SIZE_H
#define PRONGHORN_HANDOFF_SIZE_H

/*
 * Segments that the interface to the owner does not take. Nobody else would say so, for what a program sends on is not measured: the
 * peer gets the ICMP error that a router in this place would send, and the segment becomes that error.
 */
#include "error_limit.h"
#include "handoff_packet.h"

#define ANSWER_TTL 64
/* A whole header of TCP is quoted. */
#define QUOTED_IPV4 (sizeof(struct ipv4_header) + sizeof(struct tcp_header))
#define QUOTED_IPV6 (sizeof(struct ipv6_header) + sizeof(struct tcp_header))

struct answer_ipv4 {
	struct ipv4_header ip;
	struct icmp_header icmp;
} __attribute__((packed, aligned(4)));

struct answer_ipv6 {
	struct ipv6_header ip;
	struct icmp_header icmp;
} __attribute__((packed, aligned(4)));

/* RFC 8200 8.1. */
struct pseudo_ipv6 {
	__be32 source[4];
	__be32 destination[4];
	__be32 length;
	__be32 next;
};

/* Octets of the largest packet that leaves: the kernel may hold many segments as one. */
static __always_inline __u32 segment_size(struct __sk_buff *context, const struct segment *segment)
{
	if (context->gso_size)
		return segment->transport - sizeof(struct ethernet_header) + segment->header + context->gso_size;
	return context->len - sizeof(struct ethernet_header);
}

/* What an interface takes when that is less than the segment, otherwise 0. */
static __always_inline __u32 too_small_for(struct __sk_buff *context, const struct segment *segment, __u32 interface)
{
	__u32 mtu = 0;

	/* Its verdict is about all segments together; one about each needs Linux to know where the transport header is. */
	if (bpf_check_mtu(context, interface, &mtu, 0, 0) < 0)
		return 0;
	return segment_size(context, segment) > mtu ? mtu : 0;
}

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/*
 * The sum over what is quoted, which the frame ends with. Where a device is to finish the segment's checksum it does so within the
 * quoted header: then all from there on will sum up to the complement of what the field holds, the sum of the pseudo header.
 */
static __always_inline __s64 quoted_sum(struct __sk_buff *context, const struct segment *segment)
{
	__u32 field = segment->transport + offsetof(struct tcp_header, checksum);
	__be32 quoted[QUOTED_IPV6 / 4] = {};
	__u16 before;
	__u16 after;
	int is_partial;

	/* The helper leaves the field of such a checksum alone unless it is told of a change in the pseudo header. */
	if (bpf_skb_load_bytes(context, field, &before, sizeof(before)) || bpf_l4_csum_replace(context, field, 0, 1, 0) ||
	    bpf_skb_load_bytes(context, field, &after, sizeof(after)) ||
	    bpf_skb_store_bytes(context, field, &before, sizeof(before), 0))
		return -1;
	is_partial = before == after;
	if (segment->is_ipv6) {
		if (bpf_skb_load_bytes(context, sizeof(struct ethernet_header), quoted, QUOTED_IPV6))
			return -1;
		if (is_partial)
			return bpf_csum_diff(NULL, 0, quoted, sizeof(struct ipv6_header), (__u16)~before);
	} else {
		if (bpf_skb_load_bytes(context, sizeof(struct ethernet_header), quoted, QUOTED_IPV4))
			return -1;
		if (is_partial)
			return bpf_csum_diff(NULL, 0, quoted, sizeof(struct ipv4_header), (__u16)~before);
	}
	return bpf_csum_diff(NULL, 0, quoted, sizeof(quoted), 0);
}

static __always_inline int write_answer_ipv4(struct __sk_buff *context, const struct segment *segment, __u64 sum, __u32 mtu)
{
	struct answer_ipv4 answer = {};

	answer.ip.version_length = 0x45;
	answer.ip.total_length = bpf_htons(sizeof(answer) + QUOTED_IPV4);
	answer.ip.fragment = bpf_htons(IPV4_DONT_FRAGMENT);
	answer.ip.ttl = ANSWER_TTL;
	answer.ip.protocol = PROTOCOL_ICMP;
	answer.ip.source = segment->destination[3];
	answer.ip.destination = segment->source[3];
	answer.ip.checksum = ~fold(bpf_csum_diff(NULL, 0, (__be32 *)&answer.ip, sizeof(answer.ip), 0));
	answer.icmp.type = ICMP_DESTINATION_UNREACHABLE;
	answer.icmp.code = ICMP_FRAGMENTATION_NEEDED;
	/* RFC 1191 4. */
	answer.icmp.rest = bpf_htonl(mtu > 0xffff ? 0xffff : mtu);
	answer.icmp.checksum = ~fold(sum + bpf_csum_diff(NULL, 0, (__be32 *)&answer.icmp, sizeof(answer.icmp), 0));
	return bpf_skb_store_bytes(context, sizeof(struct ethernet_header), &answer, sizeof(answer), BPF_F_RECOMPUTE_CSUM);
}

static __always_inline int write_answer_ipv6(struct __sk_buff *context, const struct segment *segment, __u64 sum, __u32 mtu)
{
	struct answer_ipv6 answer = {};
	struct pseudo_ipv6 pseudo = {};

	answer.ip.version_class_label = bpf_htonl(0x60000000);
	answer.ip.payload_length = bpf_htons(sizeof(answer.icmp) + QUOTED_IPV6);
	answer.ip.next = PROTOCOL_ICMPV6;
	answer.ip.hop_limit = ANSWER_TTL;
	__builtin_memcpy(answer.ip.source, segment->destination, sizeof(answer.ip.source));
	__builtin_memcpy(answer.ip.destination, segment->source, sizeof(answer.ip.destination));
	answer.icmp.type = ICMPV6_PACKET_TOO_BIG;
	/* RFC 4443 3.2. */
	answer.icmp.rest = bpf_htonl(mtu);
	__builtin_memcpy(pseudo.source, segment->destination, sizeof(pseudo.source));
	__builtin_memcpy(pseudo.destination, segment->source, sizeof(pseudo.destination));
	pseudo.length = bpf_htonl(sizeof(answer.icmp) + QUOTED_IPV6);
	pseudo.next = bpf_htonl(PROTOCOL_ICMPV6);
	sum += bpf_csum_diff(NULL, 0, (__be32 *)&pseudo, sizeof(pseudo), 0);
	answer.icmp.checksum = ~fold(sum + bpf_csum_diff(NULL, 0, (__be32 *)&answer.icmp, sizeof(answer.icmp), 0));
	return bpf_skb_store_bytes(context, sizeof(struct ethernet_header), &answer, sizeof(answer), BPF_F_RECOMPUTE_CSUM);
}

static __always_inline int turn_ethernet(struct __sk_buff *context)
{
	__u8 old[12];
	__u8 new[12];

	if (bpf_skb_load_bytes(context, 0, old, sizeof(old)))
		return -1;
	__builtin_memcpy(new, old + 6, 6);
	__builtin_memcpy(new + 6, old, 6);
	return bpf_skb_store_bytes(context, 0, new, sizeof(new), 0);
}

/* Whether the peer asked to be told; one whose IPv4 header has options, or that may be fragmented, is not. */
static __always_inline int can_answer(struct __sk_buff *context, const struct segment *segment)
{
	struct ipv4_header *ip = at(context, sizeof(struct ethernet_header), sizeof(*ip));

	if (segment->is_ipv6)
		return 1;
	return ip && segment->transport == sizeof(struct ethernet_header) + sizeof(*ip) &&
	       (ip->fragment & bpf_htons(IPV4_DONT_FRAGMENT));
}

/* Drops the segment and tells its sender how large one may be. Nothing of it has been changed yet. */
static __noinline int refuse_too_big(struct __sk_buff *context, const struct segment *segment, __u32 mtu)
{
	__u32 quoted;
	__s64 sum;

	handoff_count(HANDOFF_COUNT_DROP_TOO_BIG);
	if (!segment || !can_answer(context, segment) || !reject_is_allowed(bpf_ktime_get_ns()))
		return TC_ACT_SHOT;
	quoted = segment->is_ipv6 ? QUOTED_IPV6 : QUOTED_IPV4;
	if (bpf_skb_change_tail(context, sizeof(struct ethernet_header) + quoted, 0))
		return TC_ACT_SHOT;
	sum = quoted_sum(context, segment);
	if (sum < 0 || turn_ethernet(context))
		return TC_ACT_SHOT;
	if (segment->is_ipv6) {
		if (bpf_skb_adjust_room(context, sizeof(struct answer_ipv6), BPF_ADJ_ROOM_MAC, 0) ||
		    write_answer_ipv6(context, segment, sum, mtu))
			return TC_ACT_SHOT;
	} else if (bpf_skb_adjust_room(context, sizeof(struct answer_ipv4), BPF_ADJ_ROOM_MAC, 0) ||
		   write_answer_ipv4(context, segment, sum, mtu)) {
		return TC_ACT_SHOT;
	}
	handoff_count(HANDOFF_COUNT_TOO_BIG_ANSWERED);
	return bpf_redirect(context->ifindex, 0);
}

#endif
