/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_SERVICE_SOCKET_MAPS_H
#define PRONGHORN_SERVICE_SOCKET_MAPS_H

/* The tables of the socket layer, mirrored by src/Pronghorn.LoadBalancer/DataPlane. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* What a socket talks to in truth. */
struct socket_key {
	__u64 cookie;
	__be32 address[4];
	__be16 port;
	__u16 reserved;
	__u32 reserved2;
};

/* What its program believes to talk to. */
struct socket_value {
	/* Network namespace of the socket. */
	__u64 namespace_cookie;
	__be32 address[4];
	__be16 port;
	__u8 protocol;
	__u8 reserved;
	__u32 service;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct socket_key);
	__type(value, struct socket_value);
} socket_reverse SEC(".maps");

#define KEPT_CHOICES 4
#define REMEMBERED_PEERS 8

struct kept_choice {
	__u32 set;
	__u32 slot;
	__u32 backend;
};

struct remembered_peer {
	__be32 address[4];
	__be16 port;
	__u16 reserved;
};

/*
 * Of a UDP socket that sends without being connected. Datagrams to one service keep their backend as
 * long as it stays in its slot, as a connection tracker would have it. Two threads may write at once;
 * what they mix is checked before use.
 */
struct socket_memory {
	struct kept_choice kept[KEPT_CHOICES];
	struct remembered_peer peers[REMEMBERED_PEERS];
	__u32 peer_count;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct socket_memory);
} socket_memories SEC(".maps");

/* The order is the ABI of the map: SocketCounter in C#. Append only. */
enum socket_counter {
	/* Sent to a backend. */
	SOCKET_FORWARDED,
	/* Refused: the service has no usable endpoint. */
	SOCKET_REFUSED,
	/* Refused: policy, or a source outside the ranges. */
	SOCKET_DENIED,
	/* Not a service: left alone. */
	SOCKET_PASSED,
	/* Left to the packet path, which sees the source address. */
	SOCKET_DEFERRED,
	/* The way back could not be stored: the program may see the backend's address. */
	SOCKET_REVERSE_FULL,
	/* recvmsg or getpeername showed the service's address. */
	SOCKET_REVERSED,
	/* bind to a node port in use. */
	SOCKET_BIND_REFUSED,
	/* Entries of the way back removed with their socket. */
	SOCKET_RELEASED,
	/* User space has not said which namespace is the node's: nothing is translated. */
	SOCKET_NOT_READY,
	SOCKET_COUNTERS,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SOCKET_COUNTERS);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, __u64);
} socket_counts SEC(".maps");

#endif
