/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_SERVICE_TRACK_H
#define PRONGHORN_SERVICE_TRACK_H

/*
 * The life of a connection's two entries: opened with the first packet, kept while there is traffic,
 * closed by what TCP says. What has ended is deleted by user space, or replaced here when its ends are
 * used again.
 */
#include "service_choice.h"

/*
 * An entry is looked after (time stamp, backend, other entry) at most this often, so that a packet of
 * an established flow costs one look-up.
 */
#define CONNECTION_LOOK_AFTER_NS (1ll << 26)

#define SOURCE_PORT_PROBES 32

/* At first. Later, one each time that an entry is looked after. A TCP SYN always. */
#define DIRECT_ANNOUNCEMENTS 4

#ifndef BPF_FIB_LOOKUP_SRC
#define BPF_FIB_LOOKUP_SRC (1U << 4)
#endif

#define FAMILY_IPV4 2
#define FAMILY_IPV6 10

/* Another processor may have written a moment that this one has not reached: then the age is below zero. */
static __always_inline __s64 connection_age_ns(const struct connection *connection, __u64 now)
{
	return now - connection->last_seen_ns;
}

static __always_inline void connection_pair_key(const struct connection_key *key, const struct connection *connection,
						struct connection_key *pair)
{
	address_copy(pair->source, connection->to.destination);
	address_copy(pair->destination, connection->to.source);
	pair->source_port = connection->to.destination_port;
	pair->destination_port = connection->to.source_port;
	pair->protocol = key->protocol;
	pair->reserved[0] = 0;
	pair->reserved[1] = 0;
	pair->reserved[2] = 0;
}

/* Whether `pair`, found under the pair key of `key`, leads back to `key`. */
static __always_inline int connection_leads_to(const struct connection *pair, const struct connection_key *key)
{
	return pair->to.source_port == key->destination_port && pair->to.destination_port == key->source_port &&
	       address_equal(pair->to.source, key->destination) && address_equal(pair->to.destination, key->source);
}

/* Of a connection whose answers are direct, a node sees one direction only. */
static __always_inline int connection_is_finished(const struct connection *connection)
{
	if (connection->options & CONNECTION_DIRECT_RETURN)
		return connection->client_finished || connection->backend_finished;
	return connection->client_finished && connection->backend_finished;
}

static __always_inline __s64 connection_timeout_ns(const struct connection *connection, __u8 protocol,
						   const struct service_settings *settings)
{
	__u32 seconds;

	if (protocol == PROTOCOL_UDP)
		seconds = settings->udp_timeout;
	else if (protocol == PROTOCOL_SCTP)
		seconds = settings->sctp_timeout;
	else if (connection->is_reset || connection_is_finished(connection))
		seconds = settings->tcp_closing_timeout;
	else if (!connection->is_answered)
		seconds = settings->tcp_opening_timeout;
	else
		seconds = settings->tcp_timeout;
	return seconds * 1000000000ll;
}

/*
 * Whether new packets of a flow may still go to its backend. One that was taken from a slot stands while
 * it is in that slot (when another moves into it, the flow chooses anew: who is in a set is written down
 * only for services with affinity).
 */
static __always_inline int connection_backend_stands(const struct packet *packet, const struct connection *connection)
{
	struct member_key member = { .set = connection->set, .backend = connection->backend };

	/* Of connection_beside(): it is the address that the client itself chose. */
	if (!connection->service)
		return 1;
	if (connection->slot != SLOT_NONE)
		return set_slot(connection->set, connection->slot) == connection->backend;
	return bpf_map_lookup_elem(&members, &member) ||
	       choose_maglev(connection->set, hash_flow(&packet->key)) == connection->backend;
}

/* Once in a while for each entry in use. 0 when the connection is over and the entry is not to be used. */
static __noinline int connection_look_after(const struct packet *packet, struct connection *connection, __u64 now)
{
	struct service_settings *settings = settings_get();
	struct connection_key pair_key;
	struct connection *pair;

	if (!settings)
		return 0;
	if (connection_age_ns(connection, now) > connection_timeout_ns(connection, packet->key.protocol, settings))
		return 0;
	/* Nobody would tell the client of a datagram protocol that its backend is gone. */
	if (!connection->is_reverse && packet->key.protocol == PROTOCOL_UDP && !connection_backend_stands(packet, connection))
		return 0;

	connection_pair_key(&packet->key, connection, &pair_key);
	pair = bpf_map_lookup_elem(&connections, &pair_key);
	if (pair) {
		if (!connection_leads_to(pair, &packet->key))
			return 0;
		pair->last_seen_ns = now;
	} else {
		struct connection lost = *connection;

		/* The table was full and let go of it. */
		address_copy(lost.to.source, packet->key.destination);
		address_copy(lost.to.destination, packet->key.source);
		lost.to.source_port = packet->key.destination_port;
		lost.to.destination_port = packet->key.source_port;
		lost.is_reverse = !connection->is_reverse;
		/* What the client sends is missing only where others send it on: here it needs no announcement. */
		if (connection->is_reverse)
			lost.options = 0;
		lost.last_seen_ns = now;
		bpf_map_update_elem(&connections, &pair_key, &lost, BPF_NOEXIST);
	}
	connection->last_seen_ns = now;
	if ((connection->options & CONNECTION_DIRECT_RETURN) && !connection->is_reverse)
		connection->announcements = 1;
	return 1;
}

/* Marks what TCP's flags say in both entries. */
static __noinline void connection_mark(const struct packet *packet, struct connection *connection)
{
	struct connection_key pair_key;
	struct connection *pair;
	int finished = packet->tcp_flags & TCP_FLAG_FIN;
	int reset = packet->tcp_flags & TCP_FLAG_RST;
	int reverse = connection->is_reverse;

	connection_pair_key(&packet->key, connection, &pair_key);
	pair = bpf_map_lookup_elem(&connections, &pair_key);
	if (reverse || (connection->options & CONNECTION_DIRECT_RETURN))
		connection->is_answered = 1;
	if (reset)
		connection->is_reset = 1;
	if (finished && reverse)
		connection->backend_finished = 1;
	if (finished && !reverse)
		connection->client_finished = 1;
	if (!pair)
		return;
	if (reverse)
		pair->is_answered = 1;
	if (reset)
		pair->is_reset = 1;
	if (finished && reverse)
		pair->backend_finished = 1;
	if (finished && !reverse)
		pair->client_finished = 1;
}

/* The entry of a packet, 0 if it has none that still holds. */
static __always_inline struct connection *connection_find(const struct packet *packet, __u64 now)
{
	struct connection *connection = bpf_map_lookup_elem(&connections, &packet->key);

	if (!connection)
		return 0;
	/* The client uses the port again. */
	if ((packet->tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_SYN && !connection->is_reverse &&
	    (connection->client_finished || connection->backend_finished || connection->is_reset)) {
		count_packet(PACKET_CONNECTION_OVER);
		return 0;
	}
	if (connection_age_ns(connection, now) > CONNECTION_LOOK_AFTER_NS &&
	    !connection_look_after(packet, connection, now)) {
		count_packet(PACKET_CONNECTION_OVER);
		return 0;
	}
	if ((packet->tcp_flags & (TCP_FLAG_FIN | TCP_FLAG_RST)) ||
	    (!connection->is_answered && (connection->is_reverse || ((packet->tcp_flags & TCP_FLAG_ACK) &&
								     (connection->options & CONNECTION_DIRECT_RETURN)))))
		connection_mark(packet, connection);
	return connection;
}

/* The node's address towards the backend: the route's, else the configured one. */
static __always_inline void masquerade_address(struct packet_context *context, const struct packet *packet,
					       const struct choice *choice, const struct service_settings *settings,
					       __be32 *address)
{
	struct bpf_fib_lookup fib = {};
	int result;

	fib.ifindex = packet->interface;
	if (packet->is_ipv6) {
		fib.family = FAMILY_IPV6;
		address_copy(fib.ipv6_src, packet->key.source);
		address_copy(fib.ipv6_dst, choice->backend.address);
	} else {
		fib.family = FAMILY_IPV4;
		fib.ipv4_src = packet->key.source[3];
		fib.ipv4_dst = choice->backend.address[3];
	}
	/* Linux 6.7; an older kernel says EINVAL. */
	result = bpf_fib_lookup(context, &fib, sizeof(fib), BPF_FIB_LOOKUP_SRC);
	if (result != BPF_FIB_LKUP_RET_SUCCESS && result != BPF_FIB_LKUP_RET_NO_NEIGH)
		address_copy(address, packet->is_ipv6 ? settings->node_ipv6 : settings->node_ipv4);
	else if (packet->is_ipv6)
		address_copy(address, fib.ipv6_src);
	else
		address_set_ipv4(address, fib.ipv4_src);
}

/* Claims the key that answers will come under. An entry that is over, or was this flow's, may be replaced. */
static __always_inline int connection_claim(const struct packet *packet, const struct connection_key *key,
					    const struct connection *value, const struct service_settings *settings)
{
	struct connection *other;

	if (!bpf_map_update_elem(&connections, key, value, BPF_NOEXIST))
		return 1;
	other = bpf_map_lookup_elem(&connections, key);
	if (!other)
		return 0;
	if (!connection_leads_to(other, &packet->key) &&
	    connection_age_ns(other, value->last_seen_ns) <= connection_timeout_ns(other, key->protocol, settings))
		return 0;
	return !bpf_map_update_elem(&connections, key, value, BPF_ANY);
}

/* What a new connection needs beside its packet: too much for the stack. */
struct opening {
	struct choice choice;
	struct connection_key reverse_key;
	struct connection reverse;
	struct connection forward;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct opening);
} opening_scratch SEC(".maps");

static __always_inline struct opening *opening_scratch_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&opening_scratch, &zero);
}

/*
 * Another source port, so that no two flows look alike to a backend. The first probe depends on the
 * flow and on chance, the step is odd.
 */
static __noinline int connection_claim_any(const struct packet *packet, struct opening *opening)
{
	struct service_settings *settings = settings_get();
	__u32 hash = hash_finish(hash_flow(&packet->key) ^ bpf_get_prandom_u32());
	__u32 ports, step = hash >> 16 | 1;

	if (!settings || settings->masquerade_last < settings->masquerade_first)
		return 0;
	ports = settings->masquerade_last - settings->masquerade_first + 1;
	for (int i = 0; i < SOURCE_PORT_PROBES; i++) {
		opening->reverse_key.destination_port = bpf_htons(settings->masquerade_first + hash % ports);
		if (connection_claim(packet, &opening->reverse_key, &opening->reverse, settings))
			return 1;
		hash += step;
	}
	count_packet(PACKET_NO_SOURCE_PORT);
	return 0;
}

static __always_inline void opening_fill(const struct packet *packet, struct opening *opening, __u64 now)
{
	const struct choice *choice = &opening->choice;
	struct connection *forward = &opening->forward, *reverse = &opening->reverse;

	__builtin_memset(forward, 0, sizeof(*forward));
	__builtin_memset(&opening->reverse_key, 0, sizeof(opening->reverse_key));
	forward->service = choice->service;
	forward->backend = choice->identifier;
	forward->set = choice->set;
	forward->slot = choice->slot;
	forward->last_seen_ns = now;
	address_copy(forward->to.destination, choice->backend.address);
	forward->to.destination_port = choice->backend.port;

	*reverse = *forward;
	reverse->is_reverse = 1;
	address_copy(reverse->to.source, packet->key.destination);
	reverse->to.source_port = packet->key.destination_port;
	address_copy(reverse->to.destination, packet->key.source);
	reverse->to.destination_port = packet->key.source_port;

	address_copy(opening->reverse_key.source, choice->backend.address);
	opening->reverse_key.source_port = choice->backend.port;
	address_copy(opening->reverse_key.destination, packet->key.source);
	opening->reverse_key.destination_port = packet->key.source_port;
	opening->reverse_key.protocol = packet->key.protocol;
}

/*
 * Claims the way back of a connection that the backend's node answers itself. Not if it would look to the
 * backend like another one: the source port cannot be changed then, and answers come through here.
 */
static __always_inline int connection_claim_direct(const struct packet *packet, struct opening *opening,
						   const struct service_settings *settings)
{
	const struct choice *choice = &opening->choice;

	if (!(choice->service_flags & SERVICE_DIRECT_RETURN) || choice->client != CLIENT_EXTERNAL ||
	    (choice->backend.flags & BACKEND_LOCAL))
		return 0;
	opening->forward.options = CONNECTION_DIRECT_RETURN;
	opening->forward.announcements = DIRECT_ANNOUNCEMENTS;
	opening->reverse.options = CONNECTION_DIRECT_RETURN;
	if (connection_claim(packet, &opening->reverse_key, &opening->reverse, settings))
		return 1;
	opening->forward.options = 0;
	opening->forward.announcements = 0;
	opening->reverse.options = 0;
	return 0;
}

/* Makes the entry for what the client sends, after that for the answers has been claimed. */
static __always_inline struct connection *connection_enter(const struct packet *packet, struct opening *opening)
{
	address_copy(opening->forward.to.source, opening->reverse_key.destination);
	opening->forward.to.source_port = opening->reverse_key.destination_port;
	if (bpf_map_update_elem(&connections, &packet->key, &opening->forward, BPF_ANY)) {
		count_packet(PACKET_CONNECTIONS_FULL);
		return 0;
	}
	count_packet(PACKET_CONNECTION_OPENED);
	return bpf_map_lookup_elem(&connections, &packet->key);
}

/* Whether this packet has to tell the backend's node which frontend it was for. */
static __always_inline int connection_announces(const struct packet *packet, const struct connection *connection)
{
	if (!(connection->options & CONNECTION_DIRECT_RETURN) || connection->is_reverse ||
	    packet->fragment == FRAGMENT_LATER)
		return 0;
	return connection->announcements ||
	       (packet->tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_SYN;
}

/* Makes both entries of a flow. 0 when there is no room or no port; counted. */
static __noinline struct connection *connection_open(struct packet_context *context, const struct packet *packet,
						     struct opening *opening, __u64 now)
{
	struct service_settings *settings = settings_get();
	const struct choice *choice = &opening->choice;
	int hairpin, masquerade;

	if (!settings)
		return 0;
	opening_fill(packet, opening, now);

	/* To a backend that is this node itself answers come back anyway, and its own address would be martian. */
	hairpin = address_equal(packet->key.source, choice->backend.address);
	if (!hairpin && connection_claim_direct(packet, opening, settings))
		return connection_enter(packet, opening);
	masquerade = hairpin || ((choice->view_flags & VIEW_MASQUERADE) &&
				 !(node_address_flags(choice->backend.address) & NODE_ADDRESS_SOURCE));
	if (masquerade) {
		masquerade_address(context, packet, choice, settings, opening->reverse_key.destination);
		opening->forward.is_masqueraded = 1;
		opening->reverse.is_masqueraded = 1;
		if (!connection_claim_any(packet, opening))
			return 0;
	} else if (!connection_claim(packet, &opening->reverse_key, &opening->reverse, settings)) {
		/* The same client port reaches this backend through another frontend already. */
		count_packet(PACKET_PORT_CHANGED);
		if (!connection_claim_any(packet, opening))
			return 0;
	}

	return connection_enter(packet, opening);
}

static __always_inline void connection_delete(const struct connection_key *key)
{
	/* A look-up takes no lock: most have nothing to delete. */
	if (bpf_map_lookup_elem(&connections, key))
		bpf_map_delete_elem(&connections, key);
}

/*
 * A new flow that a client sends to a backend itself, from the ports of one that it sends there through a
 * service: the answers of both look alike, and those of the first would be shown as the service's. What is
 * left of a connection that is over goes; beside one that is not, the new flow gets another source port.
 * Where packets enter only: where they leave, translated ones pass by too. 0 when the packet stays as it is.
 */
static __noinline struct connection *connection_beside(const struct packet *packet, struct opening *opening, __u64 now)
{
	struct service_settings *settings = settings_get();
	struct connection_key key, pair_key;
	struct connection *other, *pair;

	if (!settings)
		return 0;
	__builtin_memset(&key, 0, sizeof(key));
	address_copy(key.source, packet->key.destination);
	address_copy(key.destination, packet->key.source);
	key.source_port = packet->key.destination_port;
	key.destination_port = packet->key.source_port;
	key.protocol = packet->key.protocol;

	other = bpf_map_lookup_elem(&connections, &key);
	/* With direct return a service's own packets come with these ends. A masqueraded one's are the node's. */
	if (!other || !other->is_reverse || other->is_masqueraded || (other->options & CONNECTION_DIRECT_RETURN)) {
		connection_delete(&packet->key);
		return 0;
	}
	if (other->is_reset || (key.protocol == PROTOCOL_TCP && connection_is_finished(other)) ||
	    connection_age_ns(other, now) > connection_timeout_ns(other, key.protocol, settings)) {
		count_packet(PACKET_CONNECTION_OVER);
		connection_pair_key(&key, other, &pair_key);
		pair = bpf_map_lookup_elem(&connections, &pair_key);
		if (pair && connection_leads_to(pair, &key))
			bpf_map_delete_elem(&connections, &pair_key);
		bpf_map_delete_elem(&connections, &key);
		connection_delete(&packet->key);
		return 0;
	}

	__builtin_memset(&opening->choice, 0, sizeof(opening->choice));
	address_copy(opening->choice.backend.address, packet->key.destination);
	opening->choice.backend.port = packet->key.destination_port;
	opening->choice.slot = SLOT_NONE;
	opening_fill(packet, opening, now);
	count_packet(PACKET_PORT_CHANGED);
	return connection_claim_any(packet, opening) ? connection_enter(packet, opening) : 0;
}

#endif
