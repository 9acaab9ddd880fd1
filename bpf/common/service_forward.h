/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_SERVICE_FORWARD_H
#define PRONGHORN_SERVICE_FORWARD_H

/* The kernel's routes and neighbours for a packet with its new ends, and the frame's header after them. */
#include "service_nat.h"
#include "service_track.h"

static __always_inline int route_look_up(struct packet_context *context, const struct packet *packet,
					 const struct ends *to, struct bpf_fib_lookup *fib, __u16 length)
{
	__builtin_memset(fib, 0, sizeof(*fib));
	fib->ifindex = packet->interface;
	fib->l4_protocol = packet->key.protocol;
	fib->sport = to->source_port;
	fib->dport = to->destination_port;
	fib->tot_len = length;
	if (packet->is_ipv6) {
		fib->family = FAMILY_IPV6;
		address_copy(fib->ipv6_src, to->source);
		address_copy(fib->ipv6_dst, to->destination);
	} else {
		fib->family = FAMILY_IPV4;
		fib->ipv4_src = to->source[3];
		fib->ipv4_dst = to->destination[3];
	}
	return bpf_fib_lookup(context, fib, sizeof(*fib), 0);
}

/* One hop less, and the neighbour's address. 0, or -1 when the packet could not be written. */
static __always_inline int packet_readdress(struct packet_context *context, const struct packet *packet,
					    const struct bpf_fib_lookup *fib)
{
	struct ethernet_header *ethernet = packet_at(context, 0, sizeof(*ethernet));
	struct ipv4_header *ip4;
	__u32 sum;

	if (!ethernet)
		return -1;
	__builtin_memcpy(ethernet->destination, fib->dmac, sizeof(ethernet->destination));
	__builtin_memcpy(ethernet->source, fib->smac, sizeof(ethernet->source));
	if (packet->is_ipv6)
		return hop_limit_decrease(context, packet);

	ip4 = packet_at(context, packet->network, sizeof(*ip4));
	if (!ip4)
		return -1;
	/* RFC 1141: one less in the high octet is one more in the checksum. */
	sum = ip4->checksum + bpf_htons(0x0100);
	ip4->checksum = sum + (sum >= 0xffff);
	ip4->ttl--;
	return 0;
}

#endif
