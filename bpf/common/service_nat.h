/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_SERVICE_NAT_H
#define PRONGHORN_SERVICE_NAT_H

/*
 * Gives a packet its new ends. The program that includes this defines transport_checksum_change(),
 * because the kernel may hold a transport checksum in more than one form where tc sees it.
 */
#include "service_checksum.h"
#include "service_parse.h"

struct differences {
	__u64 addresses;
	__u64 ports;
};

static __always_inline int translate_network(struct packet_context *context, const struct packet *packet,
					     const struct ends *to)
{
	struct ipv4_header *ip4;
	struct ipv6_header *ip6;
	__u64 difference;

	if (packet->is_ipv6) {
		ip6 = packet_at(context, packet->network, sizeof(*ip6));
		if (!ip6)
			return -1;
		address_copy(ip6->source, to->source);
		address_copy(ip6->destination, to->destination);
		return 0;
	}

	ip4 = packet_at(context, packet->network, sizeof(*ip4));
	if (!ip4)
		return -1;
	difference = sum_replace(0, ip4->source, to->source[3]);
	difference = sum_replace(difference, ip4->destination, to->destination[3]);
	ip4->checksum = checksum_update(ip4->checksum, difference);
	ip4->source = to->source[3];
	ip4->destination = to->destination[3];
	return 0;
}

static __always_inline int translate_sctp(struct packet_context *context, const struct packet *packet,
					  const struct ends *to)
{
	struct sctp_header *sctp;
	__u32 change = (packet->key.source_port ^ to->source_port) |
		       (__u32)(packet->key.destination_port ^ to->destination_port) << 16;

	if (change == 0)
		return 0;
	change = crc32c_difference(change, packet->length);
	sctp = packet_at(context, packet->transport, sizeof(*sctp));
	if (!sctp)
		return -1;
	sctp->source = to->source_port;
	sctp->destination = to->destination_port;
	sctp->checksum ^= change;
	return 0;
}

/* 0, or -1 when the packet could not be written: it may be half done and has to be dropped. */
static __noinline int packet_translate(struct packet_context *context, const struct packet *packet,
				       const struct ends *to)
{
	const struct connection_key *from = &packet->key;
	struct port_header *ports;
	__u64 addresses, words;
	__u32 offset;

	if (translate_network(context, packet, to))
		return -1;
	if (packet->fragment == FRAGMENT_LATER)
		return 0;
	if (from->protocol == PROTOCOL_SCTP)
		return translate_sctp(context, packet, to);

	addresses = sum_replace_address(0, from->source, to->source);
	addresses = sum_replace_address(addresses, from->destination, to->destination);
	words = sum_replace_short(0, from->source_port, to->source_port);
	words = sum_replace_short(words, from->destination_port, to->destination_port);

	ports = packet_at(context, packet->transport, sizeof(*ports));
	if (!ports)
		return -1;
	ports->source = to->source_port;
	ports->destination = to->destination_port;
	offset = packet->transport + (from->protocol == PROTOCOL_TCP ? offsetof(struct tcp_header, checksum) :
								       offsetof(struct udp_header, checksum));
	return transport_checksum_change(context, offset, addresses, words, packet);
}

/* 0 when the packet may not go farther: the kernel answers for that. */
static __always_inline int packet_has_hops_left(struct packet_context *context, const struct packet *packet)
{
	struct ipv4_header *ip4;
	struct ipv6_header *ip6;

	if (packet->is_ipv6) {
		ip6 = packet_at(context, packet->network, sizeof(*ip6));
		return ip6 && ip6->hop_limit > 1;
	}
	ip4 = packet_at(context, packet->network, sizeof(*ip4));
	return ip4 && ip4->ttl > 1;
}

#endif
