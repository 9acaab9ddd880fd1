/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_SERVICE_PARSE_H
#define PRONGHORN_SERVICE_PARSE_H

/*
 * From a frame to the two ends of its flow: Ethernet, up to two VLAN tags, IPv4 with options or IPv6
 * with extension headers, then TCP, UDP, SCTP or ICMP. The program that includes this defines
 * `packet_context` (its context structure) and context_pull() before.
 */
#include "parse.h"
#include "service_connections.h"
#include "service_lookup.h"

#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_SERVICE_VLAN 0x88a8

#define PROTOCOL_HOP_BY_HOP 0
#define PROTOCOL_ROUTING 43
#define PROTOCOL_FRAGMENT 44
#define PROTOCOL_AUTHENTICATION 51
#define PROTOCOL_DESTINATION_OPTIONS 60
#define PROTOCOL_SCTP 132

#define IPV4_DO_NOT_FRAGMENT 0x4000

#define VLAN_TAGS 2
#define VLAN_ID_MASK 0x0fff
#define EXTENSION_HEADERS 4
/* Farther in than this no transport header is looked for. */
#define HEADERS_LIMIT 400
/* More than any offset in use: the verifier forgets smaller bounds. */
#define OFFSET_MASK 0x3ff

struct vlan_header {
	__be16 tag;
	__be16 type;
} __attribute__((packed));

struct extension_header {
	__u8 next;
	__u8 length;
	__be16 fragment;
	__be32 identification;
} __attribute__((packed));

struct udp_header {
	__be16 source;
	__be16 destination;
	__be16 length;
	__be16 checksum;
} __attribute__((packed));

struct sctp_header {
	__be16 source;
	__be16 destination;
	__be32 tag;
	__be32 checksum;
} __attribute__((packed));

enum fragment {
	FRAGMENT_NONE,
	FRAGMENT_FIRST,
	/* No ports here: they were in the first one. */
	FRAGMENT_LATER,
};

struct packet {
	/* Ends as they stand in the packet. */
	struct connection_key key;
	__be32 identification;
	/* The interface that it came by (or leaves by), seen from the network layer. */
	__u32 interface;
	/* Offsets in the frame. */
	__u16 network;
	__u16 transport;
	/* Octets of the transport header and what follows. */
	__u16 length;
	/* The inner VLAN tag; 0 if there is none. */
	__u16 vlan;
	__u8 is_ipv6;
	__u8 tcp_flags;
	__u8 fragment;
	/* At the tc egress hook. */
	__u8 is_leaving;
	/* Octets of the TCP header. */
	__u8 tcp_length;
	/* An IPv4 packet that routers may not fragment; IPv6 has no other. */
	__u8 is_whole;
	__u16 reserved;
};

enum parsed {
	PARSED,
	/* Nothing for the balancer: not IP, or a transport that it does not know. */
	PARSED_OTHER,
	PARSED_MALFORMED,
};

/* A part of the frame, or 0 when the frame ends before (or it lies outside the linear part). */
static __always_inline void *packet_at(struct packet_context *context, __u32 offset, __u32 size)
{
	void *end, *start;

	/* In assembly: the compiler may else load by a changed context pointer, which the verifier refuses. */
	asm volatile("%0 = *(u32 *)(%1 + %2)" : "=r"(start) : "r"(context), "i"(offsetof(struct packet_context, data)));
	asm volatile("%0 = *(u32 *)(%1 + %2)" : "=r"(end) : "r"(context), "i"(offsetof(struct packet_context, data_end)));
	start += offset & OFFSET_MASK;
	/* The check and the use have to be of one register, or the verifier does not connect them. */
	asm volatile("" : "+r"(start));
	return start + size > end ? 0 : start;
}

/* The same, after making it linear where it is not. Every pointer got before is void then. */
static __always_inline void *packet_require(struct packet_context *context, __u32 offset, __u32 size)
{
	void *found = packet_at(context, offset, size);

	if (found || context_pull(context, offset + size))
		return found;
	return packet_at(context, offset, size);
}

static __always_inline enum parsed parse_ipv4(struct packet_context *context, struct packet *packet)
{
	struct ipv4_header *ip = packet_require(context, packet->network, sizeof(*ip));
	__u32 length, total;

	if (!ip)
		return PARSED_MALFORMED;
	length = ipv4_header_length(ip);
	total = bpf_ntohs(ip->total_length);
	if (length == 0 || total < length)
		return PARSED_MALFORMED;

	address_set_ipv4(packet->key.source, ip->source);
	address_set_ipv4(packet->key.destination, ip->destination);
	packet->key.protocol = ip->protocol;
	packet->identification = ip->identification;
	packet->transport = packet->network + length;
	packet->length = total - length;
	packet->is_ipv6 = 0;
	packet->is_whole = (ip->fragment & bpf_htons(IPV4_DO_NOT_FRAGMENT)) != 0;
	if (ipv4_is_later_fragment(ip))
		packet->fragment = FRAGMENT_LATER;
	else if (ipv4_is_first_fragment(ip))
		packet->fragment = FRAGMENT_FIRST;
	return PARSED;
}

/* A fragment header; one of a whole packet (RFC 8200 4.5, "atomic") says nothing. */
static __always_inline void parse_fragment(struct packet *packet, const struct extension_header *header)
{
	packet->identification = header->identification;
	if (header->fragment & bpf_htons(0xfff8))
		packet->fragment = FRAGMENT_LATER;
	else if (header->fragment & bpf_htons(1))
		packet->fragment = FRAGMENT_FIRST;
}

static __always_inline enum parsed parse_ipv6(struct packet_context *context, struct packet *packet)
{
	struct ipv6_header *ip = packet_require(context, packet->network, sizeof(*ip));
	struct extension_header *header;
	__u32 offset, start, end;
	__u8 next;

	if (!ip)
		return PARSED_MALFORMED;
	address_copy(packet->key.source, ip->source);
	address_copy(packet->key.destination, ip->destination);
	packet->is_ipv6 = 1;
	packet->is_whole = 1;
	next = ip->next;
	start = packet->network + sizeof(*ip);
	end = start + bpf_ntohs(ip->payload_length);
	offset = start;

	for (int i = 0; i < EXTENSION_HEADERS; i++) {
		if (next != PROTOCOL_HOP_BY_HOP && next != PROTOCOL_ROUTING && next != PROTOCOL_FRAGMENT &&
		    next != PROTOCOL_AUTHENTICATION && next != PROTOCOL_DESTINATION_OPTIONS)
			break;
		header = packet_require(context, offset, sizeof(*header));
		if (!header)
			return PARSED_MALFORMED;
		if (next == PROTOCOL_FRAGMENT) {
			parse_fragment(packet, header);
			offset += sizeof(*header);
		} else if (next == PROTOCOL_AUTHENTICATION) {
			offset += (header->length + 2) * 4;
		} else {
			offset += (header->length + 1) * 8;
		}
		next = header->next;
		if (offset > HEADERS_LIMIT)
			return PARSED_OTHER;
		if (packet->fragment == FRAGMENT_LATER)
			break;
	}

	if (offset > end)
		return PARSED_MALFORMED;
	packet->key.protocol = next;
	packet->transport = offset;
	packet->length = end - offset;
	return PARSED;
}

static __always_inline enum parsed parse_transport(struct packet_context *context, struct packet *packet)
{
	struct tcp_header *tcp;
	struct port_header *ports;
	struct sctp_header *sctp;

	if (packet->fragment == FRAGMENT_LATER)
		return PARSED;
	switch (packet->key.protocol) {
	case PROTOCOL_TCP:
		tcp = packet_require(context, packet->transport, sizeof(*tcp));
		if (!tcp)
			return PARSED_MALFORMED;
		packet->key.source_port = tcp->source;
		packet->key.destination_port = tcp->destination;
		packet->tcp_flags = tcp->flags;
		packet->tcp_length = (tcp->offset >> 4) * 4;
		return PARSED;
	case PROTOCOL_UDP:
		ports = packet_require(context, packet->transport, sizeof(struct udp_header));
		break;
	case PROTOCOL_SCTP:
		sctp = packet_require(context, packet->transport, sizeof(*sctp));
		ports = (struct port_header *)sctp;
		break;
	case PROTOCOL_ICMP:
		return packet->is_ipv6 ? PARSED_OTHER : PARSED;
	case PROTOCOL_ICMPV6:
		return packet->is_ipv6 ? PARSED : PARSED_OTHER;
	default:
		return PARSED_OTHER;
	}
	if (!ports)
		return PARSED_MALFORMED;
	packet->key.source_port = ports->source;
	packet->key.destination_port = ports->destination;
	return PARSED;
}

/* Reads a frame into `packet`, which has to be zero. */
static __always_inline enum parsed packet_parse(struct packet_context *context, struct packet *packet)
{
	struct ethernet_header *ethernet = packet_require(context, 0, sizeof(*ethernet));
	struct vlan_header *vlan;
	enum parsed result;
	__be16 type;

	if (!ethernet)
		return PARSED_MALFORMED;
	/* What goes to a group is not for a service. */
	if (ethernet->destination[0] & 1)
		return PARSED_OTHER;
	type = ethernet->type;
	packet->network = sizeof(*ethernet);

#pragma unroll
	for (int i = 0; i < VLAN_TAGS; i++) {
		if (type != bpf_htons(ETHERTYPE_VLAN) && type != bpf_htons(ETHERTYPE_SERVICE_VLAN))
			break;
		vlan = packet_require(context, packet->network, sizeof(*vlan));
		if (!vlan)
			return PARSED_MALFORMED;
		packet->vlan = bpf_ntohs(vlan->tag) & VLAN_ID_MASK;
		packet->network += sizeof(*vlan);
		type = vlan->type;
	}

	if (type == bpf_htons(ETHERTYPE_IPV4))
		result = parse_ipv4(context, packet);
	else if (type == bpf_htons(ETHERTYPE_IPV6))
		result = parse_ipv6(context, packet);
	else
		return PARSED_OTHER;
	return result == PARSED ? parse_transport(context, packet) : result;
}

#endif
