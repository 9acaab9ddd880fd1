/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_PARSE_H
#define PRONGHORN_PARSE_H

#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "consts.h"

struct ethernet_header {
	__u8 destination[6];
	__u8 source[6];
	__be16 type;
} __attribute__((packed));

struct ipv4_header {
	__u8 version_length;
	__u8 service;
	__be16 total_length;
	__be16 identification;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__be16 checksum;
	__be32 source;
	__be32 destination;
} __attribute__((packed));

struct ipv6_header {
	__be32 version_class_label;
	__be16 payload_length;
	__u8 next;
	__u8 hop_limit;
	__be32 source[4];
	__be32 destination[4];
} __attribute__((packed));

struct tcp_header {
	__be16 source;
	__be16 destination;
	__be32 sequence;
	__be32 acknowledgment;
	__u8 offset;
	__u8 flags;
	__be16 window;
	__be16 checksum;
	__be16 urgent;
} __attribute__((packed));

/* The first eight octets of TCP and UDP, and what an ICMP error carries of them at least. */
struct port_header {
	__be16 source;
	__be16 destination;
	__be32 rest;
} __attribute__((packed));

struct icmp_header {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be32 rest;
} __attribute__((packed));

/* Octets of the IPv4 header, or 0 when it is not one. `ip` has been checked to lie in the packet. */
static __always_inline __u32 ipv4_header_length(const struct ipv4_header *ip)
{
	__u32 length = (ip->version_length & 0x0f) * 4;

	if ((ip->version_length >> 4) != 4 || length < sizeof(*ip))
		return 0;
	return length;
}

static __always_inline int ipv4_is_later_fragment(const struct ipv4_header *ip)
{
	return (ip->fragment & bpf_htons(IPV4_OFFSET_MASK)) != 0;
}

static __always_inline int ipv4_is_first_fragment(const struct ipv4_header *ip)
{
	return (ip->fragment & bpf_htons(IPV4_OFFSET_MASK | IPV4_MORE_FRAGMENTS)) ==
	       bpf_htons(IPV4_MORE_FRAGMENTS);
}

#endif
