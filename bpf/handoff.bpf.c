// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Connection handoff at tc. The node that gave a connection away holds the peer's packets while it moves and sends them to the
 * new owner afterwards; the new owner answers under the first node's address. There is no connection tracking and no forwarding
 * by the kernel in between, and checksums are changed by the helpers that know partial ones and many segments in one.
 */
#include "common/handoff_packet.h"
#include "common/handoff_errors.h"
#include "common/handoff_seek.h"
#include "common/handoff_size.h"

/*
 * What answers a SYN where there is no socket has number 0 (RFC 9293, 3.10.7.1); one of a connection's has it once in 2^32 times.
 */
static __always_inline int refuses_syn(const struct segment *segment)
{
	return (segment->flags & (TCP_FLAG_RST | TCP_FLAG_ACK)) == (TCP_FLAG_RST | TCP_FLAG_ACK) && segment->sequence == 0;
}

/*
 * What the daemon finds in the Ethernet source of a packet that it holds: 0x02, one of these, and the interface. The first of a
 * connection that is sought has its daemon ask; it and those that wait with it have a smaller share of the daemon's memory than
 * what belongs to a move.
 */
#define MARK_HELD 0x50
#define MARK_SOUGHT 0x51
#define MARK_WAITS 0x52

/* Into the daemon's hands. The Ethernet source says where it came in, for it may go on there when the move is given up. */
static __always_inline int hold(struct __sk_buff *context, __u8 mark)
{
	__u32 first = 0;
	__u32 *tap = bpf_map_lookup_elem(&handoff_settings, &first);
	__u8 source[6] = { 0x02, mark };
	__u32 interface = context->ifindex;

	if (!tap || !*tap)
		return drop(HANDOFF_COUNT_DROP_NO_HOLD);
	/* Held again after it was given back: where it first came in is known already. */
	if (interface != *tap) {
		__builtin_memcpy(source + 2, &interface, sizeof(interface));
		if (bpf_skb_store_bytes(context, offsetof(struct ethernet_header, source), source, sizeof(source), 0))
			return drop(HANDOFF_COUNT_DROP_MALFORMED);
	}
	handoff_count(HANDOFF_COUNT_HELD);
	return bpf_redirect(*tap, 0);
}

/* What the daemon gives back and nobody else has goes on as if it came in now. */
static __always_inline int go_on(struct __sk_buff *context)
{
	struct ethernet_header *ethernet = at(context, 0, sizeof(*ethernet));
	__u32 interface;

	if (!ethernet || ethernet->source[0] != 0x02 || ethernet->source[1] != MARK_HELD)
		return drop(HANDOFF_COUNT_DROP_MALFORMED);
	__builtin_memcpy(&interface, ethernet->source + 2, sizeof(interface));
	handoff_count(HANDOFF_COUNT_RETURNED);
	return bpf_redirect(interface, BPF_F_INGRESS);
}

/* On to the kernel, or, for one that was held, round by where it came in. */
static __always_inline int deliver(struct __sk_buff *context, int is_returned)
{
	return is_returned ? go_on(context) : VERDICT_PASS;
}

/* Under another end of this node's: it comes in once more, for that end may be held. */
static __always_inline int turn_in(struct __sk_buff *context, int is_returned)
{
	return is_returned ? go_on(context) : bpf_redirect(context->ifindex, BPF_F_INGRESS);
}

static __always_inline int redirect(struct __sk_buff *context, struct segment *segment, struct handoff_inbound *entry,
				    int is_returned)
{
	__u32 destination = sizeof(struct ethernet_header) + (segment->is_ipv6 ? offsetof(struct ipv6_header, destination)
									       : offsetof(struct ipv4_header, destination));
	struct handoff_inbound copy = *entry;
	__u32 mtu = copy.interface ? too_small_for(context, segment, copy.interface) : 0;

	/* One that was held has lost its sender's Ethernet address; what is sent again is answered. */
	if (mtu)
		return is_returned ? drop(HANDOFF_COUNT_DROP_TOO_BIG) : refuse_too_big(context, segment, mtu);
	entry->last_seen = bpf_ktime_get_ns();
	__sync_fetch_and_add(&entry->packets, 1);
	__sync_fetch_and_add(&entry->bytes, context->len);
	/* Also where it stays: two entries may lead to each other. */
	if (decrease_hop_limit(context, segment->is_ipv6))
		return drop(HANDOFF_COUNT_DROP_HOP_LIMIT);
	if (change_address(context, segment, destination, segment->destination, copy.target) ||
	    change_port(context, segment, offsetof(struct tcp_header, destination), segment->destination_port, copy.target_port))
		return drop(HANDOFF_COUNT_DROP_MALFORMED);
	handoff_count(HANDOFF_COUNT_REDIRECTED);
	handoff_add(HANDOFF_COUNT_REDIRECTED_BYTES, context->len);
	return copy.interface ? send_on(&copy) : turn_in(context, is_returned);
}

/* A segment of which the tables know nothing. */
static __always_inline int look_for(struct __sk_buff *context, const struct segment *segment, const struct handoff_connection *key)
{
	switch (seek(context, segment, key)) {
	case SEEK_BEGUN:
		handoff_count(HANDOFF_COUNT_SOUGHT);
		return hold(context, MARK_SOUGHT);
	case SEEK_UNDER_WAY:
		return hold(context, MARK_WAITS);
	case SEEK_TOO_MANY:
		return drop(HANDOFF_COUNT_DROP_SEEK_LIMIT);
	case SEEK_NO_DAEMON:
		return drop(HANDOFF_COUNT_DROP_UNANSWERED);
	default:
		return VERDICT_PASS;
	}
}

static __always_inline int begins(const struct segment *segment)
{
	return (segment->flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_SYN;
}

SEC("tc")
int pronghorn_handoff_ingress(struct __sk_buff *context)
{
	struct segment segment = {};
	struct handoff_connection key = {};
	struct handoff_inbound *entry;
	__u32 first = 0;
	__u32 *tap = bpf_map_lookup_elem(&handoff_settings, &first);
	int is_returned = tap && *tap == context->ifindex;

	if (!parse_segment(context, &segment)) {
		if (is_returned)
			return TC_ACT_SHOT;
		return may_be_error(context) ? redirect_error(context) : VERDICT_PASS;
	}
	__builtin_memcpy(key.remote, segment.source, sizeof(key.remote));
	__builtin_memcpy(key.local, segment.destination, sizeof(key.local));
	key.remote_port = segment.source_port;
	key.local_port = segment.destination_port;
	entry = bpf_map_lookup_elem(&handoff_inbound, &key);
	if (!entry)
		return is_returned ? go_on(context) : look_for(context, &segment, &key);
	/* The peer uses its port again: that is a connection of its own. */
	if (begins(&segment) && entry->mode != HANDOFF_HOLD && entry->mode != HANDOFF_REDIRECT) {
		bpf_map_delete_elem(&handoff_inbound, &key);
		return deliver(context, is_returned);
	}
	switch (entry->mode) {
	case HANDOFF_HOLD:
		return hold(context, MARK_HELD);
	case HANDOFF_SOUGHT:
		if (!is_search_lost(entry))
			return hold(context, MARK_WAITS);
		if (is_daemon_expected())
			return hold(context, MARK_SOUGHT);
		bpf_map_delete_elem(&handoff_inbound, &key);
		return deliver(context, is_returned);
	case HANDOFF_UNKNOWN:
		return deliver(context, is_returned);
	case HANDOFF_UNANSWERED:
		return drop(HANDOFF_COUNT_DROP_UNANSWERED);
	default:
		return redirect(context, &segment, entry, is_returned);
	}
}

SEC("tc")
int pronghorn_handoff_egress(struct __sk_buff *context)
{
	struct segment segment = {};
	struct handoff_connection key = {};
	struct handoff_inbound *given;
	struct handoff_outbound *owned;
	struct handoff_outbound copy;
	__u32 source;

	if (!parse_segment(context, &segment))
		return VERDICT_PASS;
	__builtin_memcpy(key.remote, segment.destination, sizeof(key.remote));
	__builtin_memcpy(key.local, segment.source, sizeof(key.local));
	key.remote_port = segment.destination_port;
	key.local_port = segment.source_port;
	/* Timers of a socket that is being moved, or a reset for one that has been: the peer must not hear of it. */
	given = bpf_map_lookup_elem(&handoff_inbound, &key);
	if (context->ingress_ifindex == 0 && given && given->mode != HANDOFF_UNKNOWN)
		return drop(HANDOFF_COUNT_DROP_OWN);
	owned = bpf_map_lookup_elem(&handoff_outbound, &key);
	if (!owned)
		return VERDICT_PASS;
	if (!owned->is_live)
		return drop(HANDOFF_COUNT_DROP_OWN);
	/* The peer uses its port again, and the first node has not heard yet of the end here: the SYN comes again, and begins another there. */
	if (refuses_syn(&segment))
		return drop(HANDOFF_COUNT_DROP_OWN);
	copy = *owned;
	__sync_fetch_and_add(&owned->packets, 1);
	__sync_fetch_and_add(&owned->bytes, context->len);
	source = sizeof(struct ethernet_header) + (segment.is_ipv6 ? offsetof(struct ipv6_header, source)
								   : offsetof(struct ipv4_header, source));
	if (change_address(context, &segment, source, segment.source, copy.source) ||
	    change_port(context, &segment, offsetof(struct tcp_header, source), segment.source_port, copy.source_port))
		return drop(HANDOFF_COUNT_DROP_MALFORMED);
	handoff_count(HANDOFF_COUNT_TRANSLATED);
	handoff_add(HANDOFF_COUNT_TRANSLATED_BYTES, context->len);
	return VERDICT_PASS;
}

char handoff_license[] SEC("license") = "Dual BSD/GPL";
