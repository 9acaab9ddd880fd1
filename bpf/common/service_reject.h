/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_SERVICE_REJECT_H
#define PRONGHORN_SERVICE_REJECT_H

/*
 * Answers to a packet that nobody takes: a TCP reset (RFC 9293 3.10.7.1), or an ICMP error. The
 * packet itself becomes the answer. The program that includes this defines frame_set_length() and
 * frame_grow_network(), which change the frame around its headers, checksum_is_partial(), and later
 * partial_quoted_sum().
 */
#include "error_limit.h"
#include "service_errors.h"

static __always_inline __u64 partial_quoted_sum(struct packet_context *context, const struct packet *packet,
						__u32 words);

#define ICMP_PORT_UNREACHABLE 3
#define ICMPV6_PORT_UNREACHABLE 4
#define REJECT_TTL 64
/* Of the rejected packet, from its network header on; in words. RFC 792 asks for 28 octets. */
#define REJECT_QUOTED_WORDS 24

static __always_inline void ethernet_turn(struct ethernet_header *ethernet)
{
	__u8 address[6];

	__builtin_memcpy(address, ethernet->destination, sizeof(address));
	__builtin_memcpy(ethernet->destination, ethernet->source, sizeof(address));
	__builtin_memcpy(ethernet->source, address, sizeof(address));
}

/* A network header in answer to the packet; returns the sum of the pseudo header. */
static __always_inline int answer_network(struct packet_context *context, const struct packet *packet, __u8 protocol,
					  __u16 length, __u64 *pseudo)
{
	struct ipv4_header *ip4;
	struct ipv6_header *ip6;
	__u64 sum;

	*pseudo = sum_address(sum_address(0, packet->key.source), packet->key.destination);
	/* An IPv4-mapped address counts 0xffff more than it should: that is zero in ones' complement. */
	*pseudo += bpf_htons(protocol) + bpf_htons(length);
	if (packet->is_ipv6) {
		ip6 = packet_at(context, packet->network, sizeof(*ip6));
		if (!ip6)
			return -1;
		ip6->version_class_label = bpf_htonl(0x60000000);
		ip6->payload_length = bpf_htons(length);
		ip6->next = protocol;
		ip6->hop_limit = REJECT_TTL;
		address_copy(ip6->source, packet->key.destination);
		address_copy(ip6->destination, packet->key.source);
		return 0;
	}

	ip4 = packet_at(context, packet->network, sizeof(*ip4));
	if (!ip4)
		return -1;
	ip4->version_length = 0x45;
	ip4->service = 0;
	ip4->total_length = bpf_htons(sizeof(*ip4) + length);
	ip4->identification = 0;
	ip4->fragment = bpf_htons(0x4000);
	ip4->ttl = REJECT_TTL;
	ip4->protocol = protocol;
	ip4->source = packet->key.destination[3];
	ip4->destination = packet->key.source[3];
	sum = bpf_htons(0x4500) + ip4->total_length + bpf_htons(0x4000) + bpf_htons(REJECT_TTL << 8 | protocol);
	ip4->checksum = ~sum_fold(sum + ip4->source + ip4->destination);
	return 0;
}

/* 0, or -1 when there is nothing to answer or no way to. */
static __noinline int reject_tcp(struct packet_context *context, const struct packet *packet)
{
	__u32 transport = packet->network + (packet->is_ipv6 ? sizeof(struct ipv6_header) : sizeof(struct ipv4_header));
	struct tcp_header *tcp = packet_at(context, packet->transport, sizeof(*tcp));
	struct ethernet_header *ethernet;
	__be32 sequence, acknowledgment;
	int partial, header;
	__u64 pseudo, sum;
	__u8 flags;

	if (!tcp || (tcp->flags & TCP_FLAG_RST))
		return -1;
	header = (tcp->offset >> 4) * 4;
	sequence = tcp->sequence;
	acknowledgment = tcp->acknowledgment;
	flags = tcp->flags;
	partial = checksum_is_partial(context, packet->transport + offsetof(struct tcp_header, checksum));
	if (frame_set_length(context, transport + sizeof(*tcp)) ||
	    answer_network(context, packet, PROTOCOL_TCP, sizeof(*tcp), &pseudo))
		return -1;
	ethernet = packet_at(context, 0, sizeof(*ethernet));
	tcp = packet_at(context, transport, sizeof(*tcp));
	if (!ethernet || !tcp)
		return -1;
	ethernet_turn(ethernet);

	tcp->source = packet->key.destination_port;
	tcp->destination = packet->key.source_port;
	tcp->offset = 0x50;
	tcp->window = 0;
	tcp->urgent = 0;
	if (flags & TCP_FLAG_ACK) {
		tcp->sequence = acknowledgment;
		tcp->acknowledgment = 0;
		tcp->flags = TCP_FLAG_RST;
	} else {
		header = packet->length - header + !!(flags & TCP_FLAG_SYN) + !!(flags & TCP_FLAG_FIN);
		tcp->sequence = 0;
		tcp->acknowledgment = bpf_htonl(bpf_ntohl(sequence) + header);
		tcp->flags = TCP_FLAG_RST | TCP_FLAG_ACK;
	}
	/* Where a device finishes the checksum, the field holds the sum of the pseudo header. */
	sum = (__u64)tcp->source + tcp->destination + tcp->sequence + tcp->acknowledgment +
	      bpf_htons(0x5000 | tcp->flags);
	tcp->checksum = partial ? sum_fold(pseudo) : (__u16)~sum_fold(pseudo + sum);
	return 0;
}

/* Sum of the words that an error quotes; how many octets in `length`. */
static __always_inline __u64 quoted_sum(struct packet_context *context, __u32 offset, __u32 words)
{
	__u64 sum = 0;
	__u32 *word;

	for (__u32 i = 0; i < REJECT_QUOTED_WORDS; i++) {
		if (i >= words)
			break;
		word = packet_at(context, offset + i * 4, 4);
		if (!word)
			break;
		sum += *word;
	}
	return sum;
}

/* An error of this type and code (`kind`: the high and the low octet), the rest of its header in network order. */
static __noinline int reject_by_icmp(struct packet_context *context, const struct packet *packet, __u16 kind,
				     __be32 rest)
{
	__u32 header = packet->is_ipv6 ? sizeof(struct ipv6_header) : sizeof(struct ipv4_header);
	__u32 network = packet->network, words;
	struct icmp_header *icmp;
	struct ethernet_header *ethernet;
	__u64 pseudo, sum;

	words = ((__u32)packet->transport - network + packet->length) / 4;
	if (words > REJECT_QUOTED_WORDS)
		words = REJECT_QUOTED_WORDS;
	if (!packet_require(context, network, packet->is_ipv6 ? 48 : 28))
		return -1;
	/* Below the transport header nothing is summed by a device, so the sum over the rest is known. */
	sum = partial_quoted_sum(context, packet, words);
	if (frame_set_length(context, network + words * 4))
		return -1;
	if (frame_grow_network(context, packet, header + sizeof(*icmp)))
		return -1;
	ethernet = packet_at(context, 0, sizeof(*ethernet));
	if (!ethernet)
		return -1;
	ethernet_turn(ethernet);
	if (answer_network(context, packet, packet->is_ipv6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP,
			   sizeof(*icmp) + words * 4, &pseudo))
		return -1;
	icmp = packet_at(context, network + header, sizeof(*icmp));
	if (!icmp)
		return -1;
	icmp->type = kind >> 8;
	icmp->code = kind & 0xff;
	icmp->rest = rest;
	sum += (__u64)bpf_htons(kind) + rest;
	icmp->checksum = ~sum_fold(packet->is_ipv6 ? sum + pseudo : sum);
	return 0;
}

/* 0 when the packet has become an answer that is to be sent back; counted. */
static __always_inline int packet_reject(struct packet_context *context, const struct packet *packet, __u64 now)
{
	int result;

	if (packet->fragment == FRAGMENT_LATER)
		return -1;
	if (packet->key.protocol == PROTOCOL_TCP) {
		result = reject_tcp(context, packet);
	} else {
		if (!reject_is_allowed(now)) {
			count_packet(PACKET_REJECT_LIMITED);
			return -1;
		}
		result = reject_by_icmp(context, packet, packet->is_ipv6 ?
					ICMPV6_DESTINATION_UNREACHABLE << 8 | ICMPV6_PORT_UNREACHABLE :
					ICMP_DESTINATION_UNREACHABLE << 8 | ICMP_PORT_UNREACHABLE, 0);
	}
	if (!result)
		count_packet(PACKET_REJECTED);
	return result;
}

#endif
