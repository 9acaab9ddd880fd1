// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The service load balancer where a frame enters the node. What can be finished here is: translated and
 * sent on, or refused. Everything else goes on untouched, to service_tc.bpf.c on the same interface,
 * which can wait for neighbours, deliver to the node itself, and send to interfaces whose driver takes no
 * redirected frames.
 */
#include <stddef.h>
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define packet_context xdp_md

#define VERDICT_PASS XDP_PASS
#define VERDICT_DROP XDP_DROP

/* Headers that span fragments of a frame are left to tc. */
static __always_inline int context_pull(struct xdp_md *context, __u32 length)
{
	(void)context;
	(void)length;
	return -1;
}

#include "common/service_parse.h"
#include "common/service_checksum.h"

/* A frame's checksum is complete here; see the guide for virtual interfaces. */
static __always_inline int transport_checksum_change(struct xdp_md *context, __u32 offset, __u64 addresses,
						     __u64 ports, const struct packet *packet)
{
	__u16 *checksum = packet_at(context, offset, sizeof(*checksum));
	__u16 updated;

	if (!checksum)
		return -1;
	if (packet->key.protocol == PROTOCOL_UDP && *checksum == 0)
		return 0;
	updated = checksum_update(*checksum, addresses + ports);
	*checksum = packet->key.protocol == PROTOCOL_UDP && updated == 0 ? 0xffff : updated;
	return 0;
}

static __always_inline int hop_limit_decrease(struct xdp_md *context, const struct packet *packet)
{
	struct ipv6_header *ip = packet_at(context, packet->network, sizeof(*ip));

	if (!ip)
		return -1;
	ip->hop_limit--;
	return 0;
}

static __always_inline int checksum_is_partial(struct xdp_md *context, __u32 offset)
{
	(void)context;
	(void)offset;
	return 0;
}

static __always_inline int frame_set_length(struct xdp_md *context, __u32 length)
{
	long now = (long)context->data_end - (long)context->data;

	/* The verifier wants the two pointers subtracted from each other first. */
	asm volatile("" : "+r"(now));
	return bpf_xdp_adjust_tail(context, (int)length - (int)now);
}

/* Room for `length` octets before the network header. */
static __always_inline int frame_grow_network(struct xdp_md *context, const struct packet *packet, __u32 length)
{
	struct ethernet_header *from, *to;
	struct vlan_header *tag_from, *tag_to;

	if (bpf_xdp_adjust_head(context, -(int)length))
		return -1;
	from = packet_at(context, length, sizeof(*from));
	to = packet_at(context, 0, sizeof(*to));
	if (!from || !to)
		return -1;
	__builtin_memcpy(to, from, sizeof(*to));
#pragma unroll
	for (__u32 tags = sizeof(*to); tags < sizeof(*to) + VLAN_TAGS * sizeof(*tag_to); tags += sizeof(*tag_to)) {
		if (tags >= packet->network)
			break;
		tag_from = packet_at(context, length + tags, sizeof(*tag_from));
		tag_to = packet_at(context, tags, sizeof(*tag_to));
		if (!tag_from || !tag_to)
			return -1;
		*tag_to = *tag_from;
	}
	return 0;
}

#include "common/service_packet.h"

static __always_inline __u64 partial_quoted_sum(struct xdp_md *context, const struct packet *packet, __u32 words)
{
	return quoted_sum(context, packet->network, words);
}

static __always_inline int send_back(struct xdp_md *context, const struct packet *packet)
{
	(void)context;
	(void)packet;
	return XDP_TX;
}

/* The way on, or 0 when this program does not know it (and has changed nothing). */
static __always_inline struct device_value *find_way(struct xdp_md *context, const struct packet *packet,
						     const struct ends *to, struct bpf_fib_lookup *fib)
{
	struct device_value *device;
	__u16 length = packet->transport - packet->network + packet->length;
	int result = route_look_up(context, packet, to, fib, length);

	if (result == BPF_FIB_LKUP_RET_FWD_DISABLED)
		count_packet(PACKET_FORWARDING_DISABLED);
	if (result != BPF_FIB_LKUP_RET_SUCCESS || !packet_has_hops_left(context, packet))
		return 0;
	device = bpf_map_lookup_elem(&devices, &fib->ifindex);
	if (!device || !(device->flags & DEVICE_REDIRECT))
		return 0;
	/* A tag can be changed here, but not be put on or taken off. */
	return !device->vlan == !packet->vlan ? device : 0;
}

static __always_inline int send_on(struct xdp_md *context, const struct packet *packet,
				   const struct bpf_fib_lookup *fib, const struct device_value *device)
{
	struct vlan_header *tag;
	__u32 lower = device->lower;

	if (device->vlan && device->vlan != packet->vlan) {
		tag = packet_at(context, packet->network - sizeof(*tag), sizeof(*tag));
		if (!tag)
			return verdict_counted(XDP_DROP, PACKET_WRITE_FAILED);
		tag->tag = (tag->tag & bpf_htons(~VLAN_ID_MASK)) | bpf_htons(device->vlan);
	}
	if (packet_readdress(context, packet, fib))
		return verdict_counted(XDP_DROP, PACKET_WRITE_FAILED);
	return lower == context->ingress_ifindex ? XDP_TX : bpf_redirect(lower, 0);
}

static __always_inline int deliver(struct xdp_md *context, const struct packet *packet, struct connection *connection)
{
	struct device_value *device;
	struct bpf_fib_lookup fib;

	if (connection_announces(packet, connection))
		return verdict_counted(XDP_PASS, PACKET_LEFT_TO_TC);
	device = find_way(context, packet, &connection->to, &fib);
	if (!device)
		return verdict_counted(XDP_PASS, PACKET_LEFT_TO_TC);
	count_traffic(packet, connection);
	if (packet_translate(context, packet, &connection->to))
		return verdict_counted(XDP_DROP, PACKET_WRITE_FAILED);
	return send_on(context, packet, &fib, device);
}

static __always_inline int deliver_error(struct xdp_md *context, const struct packet *packet,
					 const struct quoted *quoted, const struct ends *outer,
					 const struct ends *inner)
{
	struct device_value *device;
	struct bpf_fib_lookup fib;

	device = find_way(context, packet, outer, &fib);
	if (!device)
		return verdict_counted(XDP_PASS, PACKET_LEFT_TO_TC);
	if (error_translate(context, packet, quoted, outer, inner))
		return verdict_counted(XDP_DROP, PACKET_WRITE_FAILED);
	count_packet(PACKET_ERROR_TRANSLATED);
	return send_on(context, packet, &fib, device);
}

SEC("xdp.frags")
int pronghorn_service_xdp(struct xdp_md *context)
{
	struct packet packet = {};

	packet.interface = context->ingress_ifindex;
	return handle_packet(context, &packet);
}

char service_xdp_license[] SEC("license") = "Dual BSD/GPL";
