/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_HANDOFF_ERRORS_H
#define PRONGHORN_HANDOFF_ERRORS_H

/*
 * ICMP errors about what the owner of a connection sends. It sends under this node's address, so routers tell this node that a
 * segment is too large for their next link, and the peer's network that it cannot be reached. They are sent on to the owner, about
 * the segment as the owner sent it.
 */
#include "handoff_packet.h"

/* What is certain to be quoted of a transport header, RFC 792. */
#define QUOTED_TRANSPORT 8

struct error {
	/* Whose packet is quoted: its source is the local end. */
	struct handoff_connection key;
	/* Offsets: the error's own header, the quoted packet, the quoted ports. */
	__u32 icmp;
	__u32 network;
	__u32 transport;
	/* Where the error ends; the frame may be longer. */
	__u32 end;
	int is_ipv6;
};

/* Whether a packet can be an error at all, for what other packets than TCP cost. */
static __always_inline int may_be_error(struct __sk_buff *context)
{
	struct ethernet_header *ethernet = at(context, 0, sizeof(*ethernet));

	if (!ethernet || is_of_vlan(context))
		return 0;
	if (ethernet->type == bpf_htons(ETHERTYPE_IPV4)) {
		struct ipv4_header *ip = at(context, sizeof(*ethernet), sizeof(*ip));

		return ip && ip->protocol == PROTOCOL_ICMP;
	}
	if (ethernet->type == bpf_htons(ETHERTYPE_IPV6)) {
		struct ipv6_header *ip = at(context, sizeof(*ethernet), sizeof(*ip));

		return ip && ip->next == PROTOCOL_ICMPV6;
	}
	return 0;
}

static __always_inline int parse_quoted_ports(struct __sk_buff *context, struct error *found)
{
	struct port_header ports;

	if (found->transport + QUOTED_TRANSPORT > found->end ||
	    bpf_skb_load_bytes(context, found->transport, &ports, sizeof(ports)))
		return 0;
	found->key.local_port = ports.source;
	found->key.remote_port = ports.destination;
	return 1;
}

/* Options of either header are stepped over. Of the quoted packet only a first fragment has the ports. */
static __always_inline int parse_error_ipv4(struct __sk_buff *context, struct error *found)
{
	struct ipv4_header ip;
	struct icmp_header icmp;
	__be32 destination;
	__u32 length;

	if (bpf_skb_load_bytes(context, sizeof(struct ethernet_header), &ip, sizeof(ip)))
		return 0;
	length = ipv4_header_length(&ip);
	if (!length || (ip.fragment & bpf_htons(IPV4_OFFSET_MASK | IPV4_MORE_FRAGMENTS)))
		return 0;
	destination = ip.destination;
	found->icmp = sizeof(struct ethernet_header) + length;
	found->network = found->icmp + sizeof(icmp);
	found->end = sizeof(struct ethernet_header) + bpf_ntohs(ip.total_length);
	if (bpf_skb_load_bytes(context, found->icmp, &icmp, sizeof(icmp)) ||
	    (icmp.type != ICMP_DESTINATION_UNREACHABLE && icmp.type != ICMP_TIME_EXCEEDED && icmp.type != ICMP_PARAMETER_PROBLEM))
		return 0;
	if (bpf_skb_load_bytes(context, found->network, &ip, sizeof(ip)))
		return 0;
	length = ipv4_header_length(&ip);
	if (!length || ip.protocol != PROTOCOL_TCP || ipv4_is_later_fragment(&ip) || ip.source != destination)
		return 0;
	map_ipv4(found->key.local, ip.source);
	map_ipv4(found->key.remote, ip.destination);
	found->transport = found->network + length;
	return parse_quoted_ports(context, found);
}

static __always_inline int parse_error_ipv6(struct __sk_buff *context, struct error *found)
{
	struct ipv6_header ip;
	struct icmp_header icmp;
	__be32 destination[4];

	if (bpf_skb_load_bytes(context, sizeof(struct ethernet_header), &ip, sizeof(ip)))
		return 0;
	__builtin_memcpy(destination, ip.destination, sizeof(destination));
	found->icmp = sizeof(struct ethernet_header) + sizeof(ip);
	found->network = found->icmp + sizeof(icmp);
	found->transport = found->network + sizeof(ip);
	found->end = found->icmp + bpf_ntohs(ip.payload_length);
	if (bpf_skb_load_bytes(context, found->icmp, &icmp, sizeof(icmp)) || icmp.type < ICMPV6_DESTINATION_UNREACHABLE ||
	    icmp.type > ICMPV6_PARAMETER_PROBLEM)
		return 0;
	if (bpf_skb_load_bytes(context, found->network, &ip, sizeof(ip)) || ip.next != PROTOCOL_TCP)
		return 0;
	__builtin_memcpy(found->key.local, ip.source, sizeof(found->key.local));
	__builtin_memcpy(found->key.remote, ip.destination, sizeof(found->key.remote));
	if (ip.source[0] != destination[0] || ip.source[1] != destination[1] || ip.source[2] != destination[2] ||
	    ip.source[3] != destination[3])
		return 0;
	return parse_quoted_ports(context, found);
}

/* The error's destination and the quoted source, which are the same. IPv4: either header's checksum makes up for its own. */
static __always_inline int change_error_ipv4(struct __sk_buff *context, const struct error *error, const __be32 *target)
{
	__u32 network = sizeof(struct ethernet_header);
	__be32 old = error->key.local[3];
	__be32 new = target[3];

	if (bpf_l3_csum_replace(context, network + offsetof(struct ipv4_header, checksum), old, new, sizeof(new)) ||
	    bpf_skb_store_bytes(context, network + offsetof(struct ipv4_header, destination), &new, sizeof(new), 0))
		return -1;
	network = error->network;
	if (bpf_l3_csum_replace(context, network + offsetof(struct ipv4_header, checksum), old, new, sizeof(new)))
		return -1;
	return bpf_skb_store_bytes(context, network + offsetof(struct ipv4_header, source), &new, sizeof(new), 0);
}

/* IPv6: the error's checksum is over both, once in the pseudo header. */
static __always_inline int change_error_ipv6(struct __sk_buff *context, const struct error *error, const __be32 *target)
{
	__u32 checksum = error->icmp + offsetof(struct icmp_header, checksum);
	__be32 to[4];
	__s64 difference = ipv6_difference(error->key.local, target, to);

	if (difference < 0 || change_ipv6_pseudo(context, checksum, difference) ||
	    bpf_l4_csum_replace(context, checksum, 0, difference, 0) ||
	    bpf_skb_store_bytes(context, sizeof(struct ethernet_header) + offsetof(struct ipv6_header, destination), to,
				sizeof(to), 0))
		return -1;
	return bpf_skb_store_bytes(context, error->network + offsetof(struct ipv6_header, source), to, sizeof(to), 0);
}

/* The quoted TCP checksum stays: it is quoted seldom, and nobody reads it. */
static __always_inline int change_error(struct __sk_buff *context, const struct error *error, const struct handoff_inbound *entry)
{
	__be16 old = error->key.local_port;
	__be16 new = entry->target_port;

	if (error->is_ipv6 ? change_error_ipv6(context, error, entry->target) : change_error_ipv4(context, error, entry->target))
		return -1;
	if (old == new)
		return 0;
	if (bpf_l4_csum_replace(context, error->icmp + offsetof(struct icmp_header, checksum), old, new, sizeof(new)))
		return -1;
	return bpf_skb_store_bytes(context, error->transport + offsetof(struct port_header, source), &new, sizeof(new), 0);
}

/* The verdict for a packet that may be an error; one that is malformed, or about something else, is the kernel's. */
static __noinline int redirect_error(struct __sk_buff *context)
{
	struct error error = {};
	struct handoff_inbound *entry;
	struct handoff_inbound copy;

	error.is_ipv6 = context->protocol == bpf_htons(ETHERTYPE_IPV6);
	if (!(error.is_ipv6 ? parse_error_ipv6(context, &error) : parse_error_ipv4(context, &error)) || error.end > context->len)
		return VERDICT_PASS;
	entry = bpf_map_lookup_elem(&handoff_inbound, &error.key);
	/* Held: it has no owner to tell, and waits for no error. Who will be the owner sends again, and draws another. */
	if (!entry || !has_owner(entry))
		return VERDICT_PASS;
	copy = *entry;
	if (copy.interface && decrease_hop_limit(context, error.is_ipv6))
		return drop(HANDOFF_COUNT_DROP_HOP_LIMIT);
	if (change_error(context, &error, &copy))
		return drop(HANDOFF_COUNT_DROP_MALFORMED);
	handoff_count(HANDOFF_COUNT_ERRORS_REDIRECTED);
	return copy.interface ? send_on(&copy) : VERDICT_PASS;
}

#endif
