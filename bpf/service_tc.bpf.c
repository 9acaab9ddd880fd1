// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The service load balancer at tc: on pod interfaces for what pods send (requests, and answers of local
 * backends), on edge interfaces for what XDP left alone, and where packets leave the node, for answers of
 * the node's own sockets.
 */
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define packet_context __sk_buff

/* On to the next program, then to the kernel. */
#define VERDICT_PASS TC_ACT_UNSPEC
#define VERDICT_DROP TC_ACT_SHOT

#ifndef BPF_F_IPV6
#define BPF_F_IPV6 (1ULL << 7)
#endif

#define PACKET_FOR_ANOTHER_HOST 3

static __always_inline int context_pull(struct __sk_buff *context, __u32 length)
{
	return length > context->len ? -1 : bpf_skb_pull_data(context, length);
}

#include "common/service_parse.h"
#include "common/service_checksum.h"

static __always_inline __u32 sum_narrow(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (sum & 0xffffffff) + (sum >> 32);
}

/*
 * By helper: where a device is to finish the checksum, the field holds only the sum of the pseudo
 * header; where a device has summed the packet, that sum has to follow.
 */
static __always_inline int transport_checksum_change(struct __sk_buff *context, __u32 offset, __u64 addresses,
						     __u64 ports, const struct packet *packet)
{
	__u64 flags = packet->key.protocol == PROTOCOL_UDP ? BPF_F_MARK_MANGLED_0 : 0;
	__u64 pseudo = BPF_F_PSEUDO_HDR | flags;
	int result;

	result = bpf_l4_csum_replace(context, offset, 0, sum_narrow(addresses),
				     packet->is_ipv6 ? pseudo | BPF_F_IPV6 : pseudo);
	/* Linux 6.16 has BPF_F_IPV6. */
	if (result && packet->is_ipv6)
		result = bpf_l4_csum_replace(context, offset, 0, sum_narrow(addresses), pseudo);
	if (result)
		return -1;
	return bpf_l4_csum_replace(context, offset, 0, sum_narrow(ports), flags) ? -1 : 0;
}

static __always_inline int hop_limit_decrease(struct __sk_buff *context, const struct packet *packet)
{
	struct ipv6_header *ip = packet_at(context, packet->network, sizeof(*ip));
	__u8 hops;

	if (!ip)
		return -1;
	hops = ip->hop_limit - 1;
	return bpf_skb_store_bytes(context, packet->network + offsetof(struct ipv6_header, hop_limit), &hops,
				   sizeof(hops), BPF_F_RECOMPUTE_CSUM);
}

/*
 * Whether a device is to finish the transport checksum at `offset`: then the helper leaves the field alone
 * unless it is told of a change in the pseudo header.
 */
static __noinline int checksum_is_partial(struct __sk_buff *context, __u32 offset)
{
	__u16 *field = packet_at(context, offset, sizeof(*field));
	__u16 before;
	int partial;

	if (!field)
		return 0;
	before = *field;
	if (bpf_l4_csum_replace(context, offset, 0, 1, 0))
		return 0;
	field = packet_at(context, offset, sizeof(*field));
	if (!field)
		return 0;
	partial = *field == before;
	*field = before;
	return partial;
}

static __always_inline int frame_set_length(struct __sk_buff *context, __u32 length)
{
	return bpf_skb_change_tail(context, length, 0) ? -1 : 0;
}

static __always_inline int frame_grow_network(struct __sk_buff *context, const struct packet *packet, __u32 length)
{
	(void)packet;
	return bpf_skb_adjust_room(context, length, BPF_ADJ_ROOM_MAC, 0) ? -1 : 0;
}

/* Takes octets out in front of the network header. */
static __always_inline int frame_shrink_network(struct __sk_buff *context, __u32 length)
{
	return bpf_skb_adjust_room(context, -(int)length, BPF_ADJ_ROOM_MAC, 0) ? -1 : 0;
}

#include "common/service_direct.h"

static __always_inline __u64 partial_quoted_sum(struct __sk_buff *context, const struct packet *packet, __u32 words)
{
	__u32 offset = packet->transport + offsetof(struct udp_header, checksum);
	__u16 *field;
	__u64 sum;

	if (packet->key.protocol != PROTOCOL_UDP || !checksum_is_partial(context, offset))
		return quoted_sum(context, packet->network, words);
	/* What the device writes makes all from the transport header on sum up to the field's complement. */
	sum = quoted_sum(context, packet->network, ((__u32)packet->transport - packet->network) / 4);
	field = packet_at(context, offset, sizeof(*field));
	return field ? sum + (__u16)~*field : sum;
}

static __always_inline int send_back(struct __sk_buff *context, const struct packet *packet)
{
	return bpf_redirect(context->ifindex, packet->is_leaving ? BPF_F_INGRESS : 0);
}

/* Octets of the largest packet that leaves: the kernel may hold many segments as one. */
static __always_inline __u32 packet_size(struct __sk_buff *context, const struct packet *packet)
{
	__u32 headers = packet->transport - packet->network;

	if (context->gso_size && packet->key.protocol == PROTOCOL_TCP)
		return headers + packet->tcp_length + context->gso_size;
	return headers + packet->length;
}

/*
 * A translated packet that does not fit on its way on. The kernel cannot say so where the source is the
 * node's own, so the packet gets its old ends back and becomes the error itself.
 */
static __noinline int refuse_too_big(struct __sk_buff *context, const struct packet *packet, const struct ends *to,
				     __u32 mtu)
{
	struct packet translated = *packet;
	struct ends original;

	address_copy(original.source, packet->key.source);
	address_copy(original.destination, packet->key.destination);
	original.source_port = packet->key.source_port;
	original.destination_port = packet->key.destination_port;
	address_copy(translated.key.source, to->source);
	address_copy(translated.key.destination, to->destination);
	translated.key.source_port = to->source_port;
	translated.key.destination_port = to->destination_port;
	if (packet_translate(context, &translated, &original))
		return verdict_counted(VERDICT_DROP, PACKET_WRITE_FAILED);
	count_packet(PACKET_TOO_BIG);
	if (!reject_is_allowed(bpf_ktime_get_ns()) || reject_by_icmp(context, packet, packet->is_ipv6 ?
	    ICMPV6_PACKET_TOO_BIG << 8 : ICMP_DESTINATION_UNREACHABLE << 8 | ICMP_FRAGMENTATION_NEEDED, bpf_htonl(mtu)))
		return VERDICT_DROP;
	return bpf_redirect(context->ifindex, packet->is_leaving ? BPF_F_INGRESS : 0);
}

/* Sends a packet with its new ends on, or leaves that to the kernel where it has to wait or to explain. */
static __always_inline int send_on(struct __sk_buff *context, const struct packet *packet, const struct ends *to,
				   int is_error)
{
	struct bpf_fib_lookup fib;
	__u32 size;
	int result;

	if (packet->is_leaving && address_equal(packet->key.destination, to->destination))
		return VERDICT_PASS;
	size = packet_size(context, packet);
	result = route_look_up(context, packet, to, &fib, size > 0xffff ? 0xffff : size);
	switch (result) {
	case BPF_FIB_LKUP_RET_SUCCESS:
		if (!packet_has_hops_left(context, packet))
			break;
		if (packet_readdress(context, packet, &fib))
			return verdict_counted(VERDICT_DROP, PACKET_WRITE_FAILED);
		return bpf_redirect(fib.ifindex, 0);
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		if (!packet_has_hops_left(context, packet))
			break;
		if (packet_readdress(context, packet, &fib))
			return verdict_counted(VERDICT_DROP, PACKET_WRITE_FAILED);
		return bpf_redirect_neigh(fib.ifindex, 0, 0, 0);
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
		/* No error is sent about an error. */
		if (packet->is_whole && !is_error)
			return refuse_too_big(context, packet, to, fib.mtu_result);
		break;
	case BPF_FIB_LKUP_RET_FWD_DISABLED:
		return verdict_counted(VERDICT_PASS, PACKET_FORWARDING_DISABLED);
	default:
		break;
	}
	return verdict_counted(VERDICT_PASS, PACKET_LEFT_TO_KERNEL);
}

/* 1 when an option fits, 0 when the packet goes without, 2 when it became an error, -1 when it is to be dropped. */
static __noinline int has_room_for_option(struct __sk_buff *context, const struct packet *packet,
					  const struct ends *to)
{
	struct bpf_fib_lookup fib;
	__u32 length = packet->transport - packet->network + packet->length + direct_length(packet);

	if (route_look_up(context, packet, to, &fib, length > 0xffff ? 0xffff : length) != BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return 1;
	switch (direct_too_big(context, packet, fib.mtu_result)) {
	case 1:
		return 0;
	case -1:
		return 2;
	default:
		return -1;
	}
}

static __always_inline int deliver(struct __sk_buff *context, const struct packet *packet,
				   struct connection *connection)
{
	int announces = connection_announces(packet, connection);

	if (announces) {
		announces = has_room_for_option(context, packet, &connection->to);
		if (announces < 0)
			return VERDICT_DROP;
		if (announces > 1)
			return send_back(context, packet);
	}
	count_traffic(packet, connection);
	if (packet_translate(context, packet, &connection->to))
		return verdict_counted(VERDICT_DROP, PACKET_WRITE_FAILED);
	if (announces) {
		if (direct_insert(context, packet))
			return verdict_counted(VERDICT_DROP, PACKET_DIRECT_TOO_BIG);
		if (connection->announcements)
			connection->announcements--;
		count_packet(PACKET_DIRECT_SENT);
	}
	return send_on(context, packet, &connection->to, 0);
}

static __always_inline int deliver_error(struct __sk_buff *context, const struct packet *packet,
					 const struct quoted *quoted, const struct ends *outer,
					 const struct ends *inner)
{
	if (error_translate(context, packet, quoted, outer, inner))
		return verdict_counted(VERDICT_DROP, PACKET_WRITE_FAILED);
	count_packet(PACKET_ERROR_TRANSLATED);
	return send_on(context, packet, outer, 1);
}

static __always_inline int handle_skb(struct __sk_buff *context, int is_leaving)
{
	struct packet packet = {};
	int verdict;

	/* A tagged frame is seen again on its VLAN interface. */
	if (context->pkt_type == PACKET_FOR_ANOTHER_HOST || context->vlan_present)
		return VERDICT_PASS;
	packet.interface = context->ifindex;
	packet.is_leaving = is_leaving;
	verdict = handle_packet(context, &packet);
	/* The shortest header with an option; there is none without a transport header either. */
	if (verdict == VERDICT_PASS && !is_leaving && packet.key.destination_port &&
	    packet.transport - packet.network > (packet.is_ipv6 ? sizeof(struct ipv6_header) : sizeof(struct ipv4_header)))
		return direct_receive(context, &packet);
	return verdict;
}

SEC("tc")
int pronghorn_service_ingress(struct __sk_buff *context)
{
	return handle_skb(context, 0);
}

SEC("tc")
int pronghorn_service_egress(struct __sk_buff *context)
{
	return handle_skb(context, 1);
}

/* To a pod only the node's own answers are of interest: what was forwarded has been seen where it came in. */
SEC("tc")
int pronghorn_service_to_pod(struct __sk_buff *context)
{
	return context->sk ? handle_skb(context, 1) : VERDICT_PASS;
}

char service_tc_license[] SEC("license") = "Dual BSD/GPL";
