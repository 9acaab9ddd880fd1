/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_HANDOFF_MAPS_H
#define PRONGHORN_HANDOFF_MAPS_H

/*
 * The tables of connection handoff. src/Pronghorn.Handoff/Steering/SteeringTypes.cs mirrors this file. Addresses are of 16 octets, IPv4 as
 * ::ffff:a.b.c.d; ports are in network order.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

/* A connection as the node sees it: its own end is the local one. */
struct handoff_connection {
	__be32 remote[4];
	__be32 local[4];
	__be16 remote_port;
	__be16 local_port;
};

enum handoff_mode {
	/* Packets of the peer wait at the daemon; nothing leaves. */
	HANDOFF_HOLD = 1,
	/* Packets of the peer go to the new owner. */
	HANDOFF_REDIRECT = 2,
	/* The connection has ended at the new owner, whose TIME-WAIT still answers; a SYN begins another one, here. */
	HANDOFF_TOMBSTONE = 3,
	/* At a shared address, and nobody here knows it: packets wait while the other nodes are asked. */
	HANDOFF_SOUGHT = 4,
	/* Every node was asked, and none has it: for a moment packets are the kernel's, which answers by a reset. */
	HANDOFF_UNKNOWN = 5,
	/* Not every node could be asked: for a moment packets are dropped, and the peer sends them again. */
	HANDOFF_UNANSWERED = 6,
};

/* What becomes of a connection that this node gave away. */
struct handoff_inbound {
	__u32 mode;
	/* Raised with each move, so that late messages about an old one are recognised. */
	__u32 epoch;
	/* Number of the connection: ports are used again. */
	__u64 connection;
	__be32 target[4];
	/*
	 * Where the owner has the end that the peer knows, which is one of this node's too: an address of the owner's own, on the interface's
	 * link. 0: the target itself.
	 */
	__be32 via[4];
	__be16 target_port;
	/* The daemon's: of one that is held because it comes back, how many epochs before this one its stay with the target is. */
	__u16 returning;
	/* Where packets to the target leave; 0: it is this node itself, which has the connection under another of its ends. */
	__u32 interface;
	/* bpf_ktime_get_ns() of the last packet. */
	__u64 last_seen;
	__u64 packets;
	__u64 bytes;
};

/* The address under which the peer knows a connection that this node was given. */
struct handoff_outbound {
	__u64 connection;
	__be32 source[4];
	/* The daemon's: an address of the node that the peer's packets come by. */
	__be32 anchor[4];
	__be16 source_port;
	/*
	 * 0 until the connection goes on here. Whoever gave it may take it back until then: no reset must reach the peer, and no
	 * acknowledgement of what only a silent socket has.
	 */
	__u16 is_live;
	__u32 epoch;
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct handoff_connection);
	__type(value, struct handoff_inbound);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} handoff_inbound SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct handoff_connection);
	__type(value, struct handoff_outbound);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} handoff_outbound SEC(".maps");

/* 0: the TAP device that holds packets during a move. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} handoff_settings SEC(".maps");

/* Addresses that several nodes have. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __be32[4]);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} handoff_shared SEC(".maps");

/* Times of bpf_ktime_get_ns(), or 0. */
struct handoff_seeking {
	/* Until then a daemon is there that asks other nodes for connections. */
	__u64 asks_until;
	/* Until then one is expected back: what it would ask for is dropped, and comes again. Afterwards all is the kernel's. */
	__u64 drops_until;
	/* Of all processors: when the next connection may be asked for, less what may come at once. */
	__u64 next;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct handoff_seeking);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} handoff_seeking SEC(".maps");

enum handoff_counter {
	HANDOFF_COUNT_HELD,
	HANDOFF_COUNT_REDIRECTED,
	HANDOFF_COUNT_TRANSLATED,
	HANDOFF_COUNT_RETURNED,
	HANDOFF_COUNT_DROP_MALFORMED,
	HANDOFF_COUNT_DROP_HOP_LIMIT,
	HANDOFF_COUNT_DROP_OWN,
	HANDOFF_COUNT_DROP_NO_HOLD,
	HANDOFF_COUNT_ERRORS_REDIRECTED,
	HANDOFF_COUNT_DROP_TOO_BIG,
	HANDOFF_COUNT_TOO_BIG_ANSWERED,
	/* Not packets but their bytes, with their headers as far as tc sees them. */
	HANDOFF_COUNT_REDIRECTED_BYTES,
	HANDOFF_COUNT_TRANSLATED_BYTES,
	HANDOFF_COUNT_SOUGHT,
	HANDOFF_COUNT_DROP_SEEK_LIMIT,
	HANDOFF_COUNT_DROP_UNANSWERED,
	HANDOFF_COUNTERS,
};

/* A pinned map keeps its size: with room, a later version that counts more takes it over. New counters go to the end. */
#define HANDOFF_COUNTERS_ROOM 64

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HANDOFF_COUNTERS_ROOM);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} handoff_counters SEC(".maps");

static __always_inline int has_owner(const struct handoff_inbound *entry)
{
	return entry->mode == HANDOFF_REDIRECT || entry->mode == HANDOFF_TOMBSTONE;
}

static __always_inline void handoff_add(__u32 counter, __u64 number)
{
	__u64 *value = bpf_map_lookup_elem(&handoff_counters, &counter);

	if (value)
		*value += number;
}

static __always_inline void handoff_count(__u32 counter)
{
	handoff_add(counter, 1);
}

#endif
