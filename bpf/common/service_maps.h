/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_SERVICE_MAPS_H
#define PRONGHORN_SERVICE_MAPS_H

/*
 * The tables of the service load balancer, shared by its programs and written by user space
 * (src/Pronghorn.LoadBalancer/Maps mirrors every structure here). All policy is worked out in user
 * space: a program finds the frontend, takes the view of the client's class, and does what it says.
 *
 * An IPv4 address is held as IPv4-mapped (::ffff:a.b.c.d). Addresses and ports are in network byte
 * order, everything else in host order. Identifiers count up from 1 and are never used again, so a
 * program that holds an old one finds nothing rather than something else. There is no set 0: user space
 * keeps the marks there that all identifiers used so far lie below (slots 0..2: services, sets, backends).
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Who asks. Of a packet: by its source address. Of a socket: by its network namespace. */
enum client_class {
	CLIENT_POD,
	CLIENT_NODE,
	CLIENT_EXTERNAL,
	CLIENT_CLASSES,
};

enum service_action {
	SERVICE_FORWARD = 1,
	/* No usable endpoint anywhere: ECONNREFUSED, TCP RST or ICMP port unreachable. */
	SERVICE_REJECT,
	/* Outside the source ranges, or endpoints on other nodes only: silence; EPERM at a socket. */
	SERVICE_DROP,
};

/* The source becomes the node's own, so that answers come back through it. */
#define VIEW_MASQUERADE 1
/* Only sources in source_ranges of this service. */
#define VIEW_CHECK_SOURCE 2
/* A socket of the node itself passes that check (its source address is not known at connect). */
#define VIEW_NODE_ALLOWED 4

struct service_view {
	__u32 set;
	/* Backends in slots 0..count-1 of the set; not 0 when the action is SERVICE_FORWARD. */
	__u32 count;
	__u8 action;
	__u8 flags;
	__u16 reserved;
};

/* A node port has the unspecified address of its family: it holds for all of node_addresses. */
struct service_key {
	__be32 address[4];
	__be16 port;
	__u8 protocol;
	__u8 reserved;
};

enum frontend_kind {
	FRONTEND_CLUSTER_IP = 1,
	FRONTEND_NODE_PORT,
	FRONTEND_LOAD_BALANCER,
	FRONTEND_EXTERNAL_IP,
};

/* Choose by the set's Maglev table, not at random. Affinity goes before either. */
#define SERVICE_MAGLEV 1
/* Answers go straight from the backend's node to an external client. */
#define SERVICE_DIRECT_RETURN 2

struct service_value {
	/* Of the service port; all frontends of one share it. */
	__u32 service;
	/* Session affinity by client address, in seconds since the last connection; 0 is none. */
	__u32 affinity_timeout;
	__u16 flags;
	__u8 kind;
	__u8 reserved;
	struct service_view view[CLIENT_CLASSES];
};

struct slot_key {
	__u32 set;
	__u32 slot;
};

/* Runs on this node. */
#define BACKEND_LOCAL 1

struct backend_value {
	__be32 address[4];
	__be16 port;
	__u8 protocol;
	__u8 flags;
};

/* Which backends a set has; only of services with affinity, to see whether a remembered one is still good. */
struct member_key {
	__u32 set;
	__u32 backend;
};

struct source_range_key {
	/* 32 bits of the service, then those of the address (an IPv4 prefix counts 96 more). */
	__u32 prefix_length;
	__be32 service;
	__be32 address[4];
};

struct address_range_key {
	__u32 prefix_length;
	__be32 address[4];
};

/* A source address of the node itself (CLIENT_NODE). 127.0.0.0/8 stands here as 127.0.0.1. */
#define NODE_ADDRESS_SOURCE 1
/* Node ports are served on it. */
#define NODE_ADDRESS_PORTS 2

#define SETTING_IPV4 1
#define SETTING_IPV6 2

struct service_settings {
	/* Sockets of this network namespace are the node's own; of any other, a pod's. */
	__u64 node_netns_cookie;
	/* Source of masqueraded packets when the route names none. */
	__be32 node_ipv4[4];
	__be32 node_ipv6[4];
	/* Source ports of masqueraded connections, first and last, in host order. */
	__u16 masquerade_first;
	__u16 masquerade_last;
	__u16 node_port_first;
	__u16 node_port_last;
	__u32 flags;
	/* Seconds without a packet after which a tracked connection is gone. */
	__u32 tcp_timeout;
	__u32 tcp_opening_timeout;
	__u32 tcp_closing_timeout;
	__u32 udp_timeout;
	__u32 sctp_timeout;
	__u32 maglev_size;
	__u32 reserved;
};

/* Per service port; user space makes the entry, so a program only ever adds to it. */
struct service_count {
	__u64 connections;
	__u64 rejected;
	__u64 dropped;
	__u64 packets;
	__u64 bytes;
};

/* user space chooses max_entries of all of these before it loads the object */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct service_key);
	__type(value, struct service_value);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct slot_key);
	__type(value, __u32);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct backend_value);
} backends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct member_key);
	__type(value, __u32);
} members SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct source_range_key);
	__type(value, __u32);
} source_ranges SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct address_range_key);
	__type(value, __u32);
} pod_ranges SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __be32[4]);
	__type(value, __u32);
} node_addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct service_settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, struct service_count);
} service_counts SEC(".maps");

/* Remembered choice of a client: see affinity_timeout. */
struct affinity_key {
	__u32 service;
	/* 0: `client` is an address; 1: `client` begins with the cookie of a network namespace. */
	__u32 is_cookie;
	__be32 client[4];
};

struct affinity_value {
	__u64 last_used_ns;
	__u32 backend;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, struct affinity_key);
	__type(value, struct affinity_value);
} affinity SEC(".maps");

/*
 * Maglev tables: by set, an array of one value with maglev_size backend identifiers. User space sets
 * the inner value size before it loads.
 */
struct maglev_inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 16381 * sizeof(__u32));
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__array(values, struct maglev_inner);
} maglev SEC(".maps");

#endif
