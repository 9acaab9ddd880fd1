/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_SERVICE_DIRECT_H
#define PRONGHORN_SERVICE_DIRECT_H

/*
 * Direct return: the node that a client reached sends the client's packets on with their source as it is,
 * and lets the first of a connection carry the frontend in an IP option. The backend's node takes the
 * option off, remembers it, and gives the backend's answers the frontend as their source. Later packets
 * carry it again now and then, in case that node has forgotten. Only at tc: few packets are concerned.
 */
#include "service_packet.h"

/* Option types for experiments (RFC 4727): copied into fragments; to be skipped by who does not know it. */
#define DIRECT_OPTION_IPV4 158
#define DIRECT_OPTION_IPV6 0x1e

struct direct_option4 {
	__u8 type;
	__u8 length;
	__be16 port;
	__be32 address;
} __attribute__((packed));

/* A destination options header of its own. */
struct direct_option6 {
	__u8 next;
	__u8 header_length;
	__u8 type;
	__u8 length;
	__be16 port;
	__be16 reserved;
	__be32 address[4];
} __attribute__((packed));

static __always_inline __u32 direct_length(const struct packet *packet)
{
	return packet->is_ipv6 ? sizeof(struct direct_option6) : sizeof(struct direct_option4);
}

static __always_inline int direct_insert_ipv4(struct packet_context *context, const struct packet *packet)
{
	struct ipv4_header *from, *to;
	struct direct_option4 *option;
	__u64 difference = 0;

	from = packet_at(context, packet->network + sizeof(*option), sizeof(*from));
	to = packet_at(context, packet->network, sizeof(*to) + sizeof(*option));
	if (!from || !to || from->version_length != 0x45)
		return -1;
	*to = *from;
	option = (void *)(to + 1);
	option->type = DIRECT_OPTION_IPV4;
	option->length = sizeof(*option);
	option->port = packet->key.destination_port;
	option->address = packet->key.destination[3];

	to->version_length = 0x47;
	difference += bpf_htons(0x4700) - bpf_htons(0x4500);
	difference = sum_replace_short(difference, to->total_length,
				       bpf_htons(bpf_ntohs(to->total_length) + sizeof(*option)));
	to->total_length = bpf_htons(bpf_ntohs(to->total_length) + sizeof(*option));
	difference += (__u64)bpf_htons(DIRECT_OPTION_IPV4 << 8 | sizeof(*option)) + option->port + option->address;
	to->checksum = checksum_update(to->checksum, difference);
	return 0;
}

static __always_inline int direct_insert_ipv6(struct packet_context *context, const struct packet *packet)
{
	struct ipv6_header *from, *to;
	struct direct_option6 *option;

	from = packet_at(context, packet->network + sizeof(*option), sizeof(*from));
	to = packet_at(context, packet->network, sizeof(*to) + sizeof(*option));
	/* Hop-by-hop options have to stay the first. */
	if (!from || !to || from->next == PROTOCOL_HOP_BY_HOP)
		return -1;
	*to = *from;
	option = (void *)(to + 1);
	option->next = to->next;
	option->header_length = sizeof(*option) / 8 - 1;
	option->type = DIRECT_OPTION_IPV6;
	option->length = sizeof(*option) - offsetof(struct direct_option6, port);
	option->port = packet->key.destination_port;
	option->reserved = 0;
	address_copy(option->address, packet->key.destination);
	to->next = PROTOCOL_DESTINATION_OPTIONS;
	to->payload_length = bpf_htons(bpf_ntohs(to->payload_length) + sizeof(*option));
	return 0;
}

/* Puts the frontend, which `packet` still names, into its translated frame. */
static __noinline int direct_insert(struct packet_context *context, const struct packet *packet)
{
	if (frame_grow_network(context, packet, direct_length(packet)))
		return -1;
	return packet->is_ipv6 ? direct_insert_ipv6(context, packet) : direct_insert_ipv4(context, packet);
}

/* The frontend that a packet carries; 0 when it carries none. */
static __always_inline int direct_read(struct packet_context *context, const struct packet *packet, __be32 *address,
				       __be16 *port)
{
	struct direct_option4 *option4;
	struct direct_option6 *option6;

	if (packet->is_ipv6) {
		struct ipv6_header *ip = packet_require(context, packet->network, sizeof(*ip));

		if (!ip || ip->next != PROTOCOL_DESTINATION_OPTIONS)
			return 0;
		option6 = packet_require(context, packet->network + sizeof(*ip), sizeof(*option6));
		if (!option6 || option6->type != DIRECT_OPTION_IPV6 ||
		    option6->header_length != sizeof(*option6) / 8 - 1)
			return 0;
		address_copy(address, option6->address);
		*port = option6->port;
		return 1;
	}
	option4 = packet_require(context, packet->network + sizeof(struct ipv4_header), sizeof(*option4));
	if (!option4 || option4->type != DIRECT_OPTION_IPV4 || option4->length != sizeof(*option4))
		return 0;
	address_set_ipv4(address, option4->address);
	*port = option4->port;
	return 1;
}

/* Takes the option off: the header before it moves up, then the room in front of it goes. */
static __always_inline int direct_strip(struct packet_context *context, const struct packet *packet)
{
	struct ipv4_header *from4, *to4;
	struct ipv6_header *from6, *to6;
	struct direct_option6 *option6;
	struct ipv6_header copy6;
	struct ipv4_header copy4;
	__u64 sum = 0;
	__u16 *word;

	if (packet->is_ipv6) {
		from6 = packet_at(context, packet->network, sizeof(*from6) + sizeof(*option6));
		if (!from6)
			return -1;
		option6 = (void *)(from6 + 1);
		copy6 = *from6;
		copy6.next = option6->next;
		copy6.payload_length = bpf_htons(bpf_ntohs(copy6.payload_length) - sizeof(*option6));
		to6 = packet_at(context, packet->network + sizeof(*option6), sizeof(*to6));
		if (!to6)
			return -1;
		*to6 = copy6;
		return frame_shrink_network(context, sizeof(*option6));
	}

	from4 = packet_at(context, packet->network, sizeof(*from4));
	to4 = packet_at(context, packet->network + sizeof(struct direct_option4), sizeof(*to4));
	if (!from4 || !to4)
		return -1;
	copy4 = *from4;
	copy4.version_length = 0x45;
	copy4.total_length = bpf_htons(bpf_ntohs(copy4.total_length) - sizeof(struct direct_option4));
	copy4.checksum = 0;
	word = (__u16 *)&copy4;
#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += word[i];
	copy4.checksum = ~sum_fold(sum);
	*to4 = copy4;
	return frame_shrink_network(context, sizeof(struct direct_option4));
}

/* Whether a frontend answers directly here too: else anybody could make answers look like somebody's. */
static __always_inline int direct_is_served(const struct packet *packet, const __be32 *address, __be16 port)
{
	struct service_key key = { .port = port, .protocol = packet->key.protocol };
	struct service_value *service;

	address_copy(key.address, address);
	service = bpf_map_lookup_elem(&services, &key);
	if (!service) {
		/* A node port, on the other node's address. */
		key.address[0] = 0;
		key.address[1] = 0;
		key.address[2] = packet->is_ipv6 ? 0 : bpf_htonl(0xffff);
		key.address[3] = 0;
		service = bpf_map_lookup_elem(&services, &key);
	}
	return service && (service->flags & SERVICE_DIRECT_RETURN);
}

/* The entries by which answers to `packet` get the frontend as their source. */
static __always_inline int direct_remember(const struct packet *packet, const __be32 *address, __be16 port)
{
	struct opening *opening = opening_scratch_get();
	struct connection *known;
	__u64 now = bpf_ktime_get_ns();
	struct connection_key key;

	if (!opening)
		return -1;
	__builtin_memset(&opening->reverse, 0, sizeof(opening->reverse));
	address_copy(opening->reverse.to.source, address);
	opening->reverse.to.source_port = port;
	address_copy(opening->reverse.to.destination, packet->key.source);
	opening->reverse.to.destination_port = packet->key.source_port;
	opening->reverse.is_reverse = 1;
	opening->reverse.options = CONNECTION_DIRECT_RETURN;
	opening->reverse.slot = SLOT_NONE;
	opening->reverse.last_seen_ns = now;

	__builtin_memset(&key, 0, sizeof(key));
	address_copy(key.source, packet->key.destination);
	address_copy(key.destination, packet->key.source);
	key.source_port = packet->key.destination_port;
	key.destination_port = packet->key.source_port;
	key.protocol = packet->key.protocol;
	known = bpf_map_lookup_elem(&connections, &key);
	if (known && known->to.source_port == port && address_equal(known->to.source, address) &&
	    (packet->tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) != TCP_FLAG_SYN) {
		known->last_seen_ns = now;
		return 0;
	}
	return bpf_map_update_elem(&connections, &key, &opening->reverse, BPF_ANY) ? -1 : 0;
}

/* A packet that came from another node, and is for a backend behind this one. */
static __noinline int direct_receive(struct packet_context *context, const struct packet *packet)
{
	__be32 address[4];
	__be16 port;

	if (!direct_read(context, packet, address, &port) || !direct_is_served(packet, address, port))
		return VERDICT_PASS;
	if (direct_remember(packet, address, port))
		return verdict_counted(VERDICT_DROP, PACKET_CONNECTIONS_FULL);
	if (direct_strip(context, packet))
		return verdict_counted(VERDICT_DROP, PACKET_WRITE_FAILED);
	return verdict_counted(VERDICT_PASS, PACKET_DIRECT_RECEIVED);
}

/*
 * What happens when the option does not fit: a TCP segment goes without (a smaller one will carry it); of
 * other packets the client has to send smaller ones, and is told so. 1: go on without.
 */
static __always_inline int direct_too_big(struct packet_context *context, const struct packet *packet, __u32 mtu)
{
	__u32 usable = mtu - direct_length(packet);

	if (packet->key.protocol == PROTOCOL_TCP)
		return 1;
	count_packet(PACKET_DIRECT_TOO_BIG);
	if (!reject_is_allowed(bpf_ktime_get_ns()))
		return 0;
	return reject_by_icmp(context, packet, packet->is_ipv6 ? ICMPV6_PACKET_TOO_BIG << 8 :
			      ICMP_DESTINATION_UNREACHABLE << 8 | ICMP_FRAGMENTATION_NEEDED, bpf_htonl(usable)) ? 0 : -1;
}

#endif
