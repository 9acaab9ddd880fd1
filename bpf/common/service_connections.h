/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_SERVICE_CONNECTIONS_H
#define PRONGHORN_SERVICE_CONNECTIONS_H

/*
 * Connection tracking of the packet path. A connection has two entries: what its client sends is found
 * under (client, frontend), what its backend answers under (backend, source that it was shown). Each
 * says what the packet's ends become; so each of them names the key of the other.
 */
#include "service_maps.h"

/*
 * Size of a Maglev table. User space sets it before it loads, together with the inner maps' value size:
 * the first read-only variable of the program.
 */
const volatile __u32 maglev_entries = 16381;

struct connection_key {
	__be32 source[4];
	__be32 destination[4];
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 reserved[3];
};

/* What the ends of a packet become. */
struct ends {
	__be32 source[4];
	__be32 destination[4];
	__be16 source_port;
	__be16 destination_port;
};

/* The facts are octets of their own, so that two processors never lose one that the other sets. */
struct connection {
	struct ends to;
	/* Found by what the backend sends. */
	__u8 is_reverse;
	__u8 is_answered;
	__u8 client_finished;
	__u8 backend_finished;
	__u8 is_reset;
	/* The backend sees an address of this node. */
	__u8 is_masqueraded;
	__u8 options;
	/* Packets that still carry the frontend along, if answers are direct. */
	__u8 announcements;
	__u32 service;
	__u32 backend;
	/* Where the backend was found: see connection_backend_stands(). */
	__u32 set;
	__u32 slot;
	__u32 reserved2;
	__u64 last_seen_ns;
};

/* The slot when the backend was not taken from one: it was remembered, or Maglev's. */
#define SLOT_NONE 0xffffffff

/* Answers do not come back through here: the backend's node sends them. */
#define CONNECTION_DIRECT_RETURN 1

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 262144);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct connection_key);
	__type(value, struct connection);
} connections SEC(".maps");

/* The ports of a fragmented packet, from its first fragment. */
struct fragment_key {
	__be32 source[4];
	__be32 destination[4];
	__be32 identification;
	__u8 protocol;
	__u8 reserved[3];
};

struct fragment_value {
	__be16 source_port;
	__be16 destination_port;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct fragment_key);
	__type(value, struct fragment_value);
} fragments SEC(".maps");

/* XDP may send here: the driver takes redirected frames. Others get theirs from the tc program. */
#define DEVICE_REDIRECT 1

/* By interface index. A VLAN interface names the one below it and its tag. */
struct device_value {
	__u32 lower;
	__u16 vlan;
	__u16 flags;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct device_value);
} devices SEC(".maps");

/* The interface of a VLAN tag on another one. Frames with a tag that nobody has are not looked at. */
struct vlan_key {
	__u32 lower;
	__u32 vlan;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct vlan_key);
	__type(value, __u32);
} vlans SEC(".maps");

/* The order is the ABI of the packet_counters map: PacketCounter in C#. Append only. */
enum packet_counter {
	PACKET_NOT_SERVICE,
	PACKET_MALFORMED,
	PACKET_FORWARDED,
	PACKET_ANSWERED,
	PACKET_CONNECTION_OPENED,
	PACKET_CONNECTION_OVER,
	PACKET_REJECTED,
	PACKET_DROPPED_POLICY,
	PACKET_DROPPED_SOURCE_RANGE,
	PACKET_NO_SOURCE_PORT,
	PACKET_CONNECTIONS_FULL,
	PACKET_LEFT_TO_TC,
	PACKET_LEFT_TO_KERNEL,
	PACKET_FORWARDING_DISABLED,
	PACKET_ERROR_TRANSLATED,
	PACKET_FRAGMENT_UNKNOWN,
	PACKET_FRAGMENT_SCTP,
	PACKET_REJECT_LIMITED,
	PACKET_WRITE_FAILED,
	PACKET_STRAY_RESET,
	PACKET_PORT_CHANGED,
	PACKET_DIRECT_SENT,
	PACKET_DIRECT_RECEIVED,
	PACKET_DIRECT_TOO_BIG,
	PACKET_TOO_BIG,
	PACKET_COUNTERS,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PACKET_COUNTERS);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, __u64);
} packet_counters SEC(".maps");

static __always_inline void count_packet(enum packet_counter which)
{
	__u32 key = which;
	__u64 *value = bpf_map_lookup_elem(&packet_counters, &key);

	if (value)
		(*value)++;
}

#endif
