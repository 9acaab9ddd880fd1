/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_SERVICE_PACKET_H
#define PRONGHORN_SERVICE_PACKET_H

/*
 * What happens to a packet, at whichever hook it is seen. The program that includes this defines its
 * verdicts before, and how a packet goes on afterwards.
 */
#include "service_reject.h"

/* Translates a packet of a connection, and sends it on. */
static __always_inline int deliver(struct packet_context *context, const struct packet *packet,
				   struct connection *connection);
/* The same with an error. */
static __always_inline int deliver_error(struct packet_context *context, const struct packet *packet,
					 const struct quoted *quoted, const struct ends *outer,
					 const struct ends *inner);
/* Sends what a packet was made into to where it came from. */
static __always_inline int send_back(struct packet_context *context, const struct packet *packet);

static __always_inline void fragment_key_of(const struct packet *packet, struct fragment_key *key)
{
	__builtin_memset(key, 0, sizeof(*key));
	address_copy(key->source, packet->key.source);
	address_copy(key->destination, packet->key.destination);
	key->identification = packet->identification;
	key->protocol = packet->key.protocol;
}

static __noinline void fragment_remember(const struct packet *packet)
{
	struct fragment_value ports = { packet->key.source_port, packet->key.destination_port };
	struct fragment_key key;

	fragment_key_of(packet, &key);
	bpf_map_update_elem(&fragments, &key, &ports, BPF_ANY);
}

static __noinline int fragment_recall(struct packet *packet)
{
	struct fragment_value *ports;
	struct fragment_key key;

	fragment_key_of(packet, &key);
	ports = bpf_map_lookup_elem(&fragments, &key);
	if (!ports)
		return -1;
	packet->key.source_port = ports->source_port;
	packet->key.destination_port = ports->destination_port;
	return 0;
}

static __always_inline int verdict_counted(int verdict, enum packet_counter why)
{
	count_packet(why);
	return verdict;
}

/* What an error needs beside the packet: too much for the stack. */
struct error {
	struct quoted quoted;
	struct connection_key key;
	struct ends outer;
	struct ends inner;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct error);
} error_scratch SEC(".maps");

static __noinline int handle_icmp(struct packet_context *context, const struct packet *packet)
{
	struct connection *connection;
	struct error *error;
	__u32 zero = 0;

	error = bpf_map_lookup_elem(&error_scratch, &zero);
	if (!error)
		return VERDICT_PASS;
	__builtin_memset(error, 0, sizeof(*error));
	/* Echo and the rest are not for a service: a frontend is a port, not a host. */
	if (quoted_parse(context, packet, &error->quoted))
		return verdict_counted(VERDICT_PASS, PACKET_NOT_SERVICE);
	quoted_swap(&error->quoted, &error->key);
	connection = bpf_map_lookup_elem(&connections, &error->key);
	if (!connection)
		return verdict_counted(VERDICT_PASS, PACKET_NOT_SERVICE);

	address_copy(error->inner.source, connection->to.destination);
	address_copy(error->inner.destination, connection->to.source);
	error->inner.source_port = connection->to.destination_port;
	error->inner.destination_port = connection->to.source_port;
	/* From the other end itself: it is hidden here too. From a router between: its address stays. */
	address_copy(error->outer.source, address_equal(packet->key.source, error->key.source) ?
						  connection->to.source : packet->key.source);
	address_copy(error->outer.destination, connection->to.destination);
	return deliver_error(context, packet, &error->quoted, &error->outer, &error->inner);
}

/* Whether a packet may be a flow's first. */
static __always_inline int packet_may_begin(const struct packet *packet)
{
	return packet->key.protocol != PROTOCOL_TCP ||
	       (packet->tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_SYN;
}

static __always_inline int handle_new(struct packet_context *context, const struct packet *packet, __u64 now,
				      struct connection **connection)
{
	struct opening *opening = opening_scratch_get();
	struct service_count *counts;

	if (!opening)
		return VERDICT_DROP;
	switch (choose(packet, &opening->choice)) {
	case CHOSEN_NOT_SERVICE:
		if (!packet->is_leaving && packet_may_begin(packet))
			*connection = connection_beside(packet, opening, now);
		return verdict_counted(VERDICT_PASS, PACKET_NOT_SERVICE);
	case CHOSEN_DROP:
		return VERDICT_DROP;
	case CHOSEN_REJECT:
		return packet_reject(context, packet, now) ? VERDICT_DROP : send_back(context, packet);
	default:
		break;
	}
	/* A reset is for a connection that was; it opens none. */
	if (packet->tcp_flags & TCP_FLAG_RST)
		return verdict_counted(VERDICT_DROP, PACKET_STRAY_RESET);
	*connection = connection_open(context, packet, opening, now);
	if (!*connection)
		return VERDICT_DROP;
	counts = service_count_find(opening->choice.service);
	if (counts)
		counts->connections++;
	return VERDICT_PASS;
}

static __always_inline void count_traffic(const struct packet *packet, const struct connection *connection)
{
	struct service_count *counts = service_count_find(connection->service);

	count_packet(connection->is_reverse ? PACKET_ANSWERED : PACKET_FORWARDED);
	if (counts) {
		counts->packets++;
		counts->bytes += packet->length + packet->transport - packet->network;
	}
}

static __always_inline int handle_packet(struct packet_context *context, struct packet *packet)
{
	struct connection *connection;
	__u64 now;
	int verdict;

	switch (packet_parse(context, packet)) {
	case PARSED:
		break;
	case PARSED_MALFORMED:
		return verdict_counted(VERDICT_PASS, PACKET_MALFORMED);
	default:
		return verdict_counted(VERDICT_PASS, PACKET_NOT_SERVICE);
	}
	if (packet->vlan) {
		struct vlan_key key = { .lower = packet->interface, .vlan = packet->vlan };
		__u32 *interface = bpf_map_lookup_elem(&vlans, &key);

		if (!interface)
			return verdict_counted(VERDICT_PASS, PACKET_NOT_SERVICE);
		packet->interface = *interface;
	}
	if (packet->fragment == FRAGMENT_LATER && fragment_recall(packet))
		return verdict_counted(VERDICT_PASS, PACKET_FRAGMENT_UNKNOWN);
	if (packet->key.protocol == PROTOCOL_ICMP || packet->key.protocol == PROTOCOL_ICMPV6)
		return handle_icmp(context, packet);

	now = bpf_ktime_get_ns();
	connection = connection_find(packet, now);
	if (!connection) {
		verdict = handle_new(context, packet, now, &connection);
		if (!connection)
			return verdict;
	}
	if (packet->fragment == FRAGMENT_FIRST) {
		/* Its checksum is over all fragments, of which only one is here. */
		if (packet->key.protocol == PROTOCOL_SCTP)
			return verdict_counted(VERDICT_DROP, PACKET_FRAGMENT_SCTP);
		fragment_remember(packet);
	}
	return deliver(context, packet, connection);
}

#endif
