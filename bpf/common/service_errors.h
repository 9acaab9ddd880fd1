/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_SERVICE_ERRORS_H
#define PRONGHORN_SERVICE_ERRORS_H

/*
 * ICMP errors about translated packets. The packet that an error quotes left this node with translated
 * ends; its sender knows only the others, so they are put back, as RFC 5508 asks of a NAT.
 */
#include "service_forward.h"

struct quoted {
	/* Ends of the quoted packet, as quoted. */
	struct connection_key key;
	__u16 network;
	__u16 transport;
};

static __always_inline int icmp_is_error(const struct packet *packet, __u8 type)
{
	if (packet->is_ipv6)
		return type >= ICMPV6_DESTINATION_UNREACHABLE && type <= ICMPV6_PARAMETER_PROBLEM;
	return type == ICMP_DESTINATION_UNREACHABLE || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETER_PROBLEM;
}

static __always_inline int quoted_parse_ipv4(struct packet_context *context, struct quoted *quoted)
{
	struct ipv4_header *ip = packet_require(context, quoted->network, sizeof(*ip));
	__u32 length;

	if (!ip)
		return -1;
	length = ipv4_header_length(ip);
	if (length == 0 || ipv4_is_later_fragment(ip))
		return -1;
	address_set_ipv4(quoted->key.source, ip->source);
	address_set_ipv4(quoted->key.destination, ip->destination);
	quoted->key.protocol = ip->protocol;
	quoted->transport = quoted->network + length;
	return 0;
}

static __always_inline int quoted_parse_ipv6(struct packet_context *context, struct quoted *quoted)
{
	struct ipv6_header *ip = packet_require(context, quoted->network, sizeof(*ip));

	if (!ip)
		return -1;
	address_copy(quoted->key.source, ip->source);
	address_copy(quoted->key.destination, ip->destination);
	quoted->key.protocol = ip->next;
	quoted->transport = quoted->network + sizeof(*ip);
	return 0;
}

/* 0 when this is an error that quotes a packet of TCP, UDP or SCTP. */
static __always_inline int quoted_parse(struct packet_context *context, const struct packet *packet,
					struct quoted *quoted)
{
	struct icmp_header *icmp = packet_require(context, packet->transport, sizeof(*icmp));
	struct port_header *ports;

	if (!icmp || !icmp_is_error(packet, icmp->type))
		return -1;
	quoted->network = packet->transport + sizeof(*icmp);
	if (packet->is_ipv6 ? quoted_parse_ipv6(context, quoted) : quoted_parse_ipv4(context, quoted))
		return -1;
	if (quoted->key.protocol != PROTOCOL_TCP && quoted->key.protocol != PROTOCOL_UDP &&
	    quoted->key.protocol != PROTOCOL_SCTP)
		return -1;
	ports = packet_require(context, quoted->transport, sizeof(*ports));
	if (!ports)
		return -1;
	quoted->key.source_port = ports->source;
	quoted->key.destination_port = ports->destination;
	return 0;
}

static __always_inline void quoted_swap(const struct quoted *quoted, struct connection_key *key)
{
	address_copy(key->source, quoted->key.destination);
	address_copy(key->destination, quoted->key.source);
	key->source_port = quoted->key.destination_port;
	key->destination_port = quoted->key.source_port;
	key->protocol = quoted->key.protocol;
}

/*
 * The quoted transport header: ports, and the checksum as far as it was quoted. Returns what this adds to
 * the sum that the ICMP checksum is over.
 */
static __always_inline int quoted_translate_transport(struct packet_context *context, const struct quoted *quoted,
						      const struct ends *to, __u64 *difference)
{
	struct port_header *ports = packet_at(context, quoted->transport, sizeof(*ports));
	__u16 *checksum = 0;
	__u64 inner = 0;
	__u16 updated;

	if (!ports)
		return -1;
	inner = sum_replace_short(inner, ports->source, to->source_port);
	inner = sum_replace_short(inner, ports->destination, to->destination_port);
	ports->source = to->source_port;
	ports->destination = to->destination_port;
	*difference += inner;

	if (quoted->key.protocol == PROTOCOL_UDP)
		checksum = packet_at(context, quoted->transport + offsetof(struct udp_header, checksum), 2);
	else if (quoted->key.protocol == PROTOCOL_TCP)
		checksum = packet_at(context, quoted->transport + offsetof(struct tcp_header, checksum), 2);
	if (!checksum || (*checksum == 0 && quoted->key.protocol == PROTOCOL_UDP))
		return 0;
	inner = sum_replace_address(inner, quoted->key.source, to->source);
	inner = sum_replace_address(inner, quoted->key.destination, to->destination);
	updated = checksum_update(*checksum, inner);
	*difference = sum_replace_short(*difference, *checksum, updated);
	*checksum = updated;
	return 0;
}

/* The quoted network header; an IPv4 header's own checksum makes up for its addresses. */
static __always_inline int quoted_translate_network(struct packet_context *context, const struct packet *packet,
						    const struct quoted *quoted, const struct ends *to,
						    __u64 *difference)
{
	struct ipv4_header *ip4;
	struct ipv6_header *ip6;
	__u64 change;

	if (packet->is_ipv6) {
		ip6 = packet_at(context, quoted->network, sizeof(*ip6));
		if (!ip6)
			return -1;
		*difference = sum_replace_address(*difference, ip6->source, to->source);
		*difference = sum_replace_address(*difference, ip6->destination, to->destination);
		address_copy(ip6->source, to->source);
		address_copy(ip6->destination, to->destination);
		return 0;
	}
	ip4 = packet_at(context, quoted->network, sizeof(*ip4));
	if (!ip4)
		return -1;
	change = sum_replace(0, ip4->source, to->source[3]);
	change = sum_replace(change, ip4->destination, to->destination[3]);
	ip4->checksum = checksum_update(ip4->checksum, change);
	ip4->source = to->source[3];
	ip4->destination = to->destination[3];
	return 0;
}

/* Translates an error and the packet in it. 0, or -1 when it could not be written: to be dropped. */
static __always_inline int error_translate(struct packet_context *context, const struct packet *packet,
					   const struct quoted *quoted, const struct ends *outer,
					   const struct ends *inner)
{
	struct icmp_header *icmp;
	__u64 difference = 0;

	if (translate_network(context, packet, outer) ||
	    quoted_translate_network(context, packet, quoted, inner, &difference) ||
	    quoted_translate_transport(context, quoted, inner, &difference))
		return -1;
	if (packet->is_ipv6) {
		difference = sum_replace_address(difference, packet->key.source, outer->source);
		difference = sum_replace_address(difference, packet->key.destination, outer->destination);
	}
	icmp = packet_at(context, packet->transport, sizeof(*icmp));
	if (!icmp)
		return -1;
	icmp->checksum = checksum_update(icmp->checksum, difference);
	return 0;
}

#endif
