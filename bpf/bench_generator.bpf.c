// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Packets for the benchmark of services: `generate` is run by BPF_PROG_TEST_RUN with live frames and makes each of them
 * an UDP datagram of a flow, `count` takes them at their destination, `pass` lets a veth accept redirected frames.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "common/parse.h"

#define TARGETS 8
#define FIRST_PORT 1024
/* Flows that one source address stands for: source ports from FIRST_PORT on. */
#define FLOWS_PER_SOURCE 32768

struct udp_frame {
	struct ethernet_header ethernet;
	struct ipv4_header ip;
	struct port_header udp;
} __attribute__((packed));

struct generator {
	__u64 next;
	/* The flows are used in turn. */
	__u64 flows;
	__u32 interface;
	__be32 destination;
	/* In host order; those after it follow. */
	__u32 first_source;
	__u32 ports;
	__be16 port[TARGETS];
	__u8 destination_mac[6];
	__u8 source_mac[6];
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct generator);
} generator SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} delivered SEC(".maps");

static __always_inline void fill_ipv4(struct ipv4_header *ip, __u32 source, __be32 destination, __u16 length)
{
	__u16 *words = (__u16 *)ip;
	__u32 sum = 0;

	ip->version_length = 0x45;
	ip->service = 0;
	ip->total_length = bpf_htons(length);
	ip->identification = 0;
	ip->fragment = bpf_htons(0x4000);
	ip->ttl = 64;
	ip->protocol = PROTOCOL_UDP;
	ip->checksum = 0;
	ip->source = bpf_htonl(source);
	ip->destination = destination;
#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->checksum = ~sum;
}

/* Pages are used again as the node left them, so all of the headers is written each time. */
SEC("xdp")
int bench_generate(struct xdp_md *context)
{
	struct udp_frame *frame = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;
	struct generator *settings;
	__u32 zero = 0, length;
	__u64 flow;

	settings = bpf_map_lookup_elem(&generator, &zero);
	if (!settings || (void *)(frame + 1) > end || !settings->flows || !settings->ports)
		return XDP_ABORTED;
	flow = settings->next++ % settings->flows;
	length = end - (void *)frame - sizeof(frame->ethernet);
	__builtin_memcpy(frame->ethernet.destination, settings->destination_mac, 6);
	__builtin_memcpy(frame->ethernet.source, settings->source_mac, 6);
	frame->ethernet.type = bpf_htons(ETHERTYPE_IPV4);
	fill_ipv4(&frame->ip, settings->first_source + flow / FLOWS_PER_SOURCE, settings->destination, length);
	frame->udp.source = bpf_htons(FIRST_PORT + flow % FLOWS_PER_SOURCE);
	frame->udp.destination = settings->port[(flow % settings->ports) & (TARGETS - 1)];
	/* Length and checksum; 0: no checksum (RFC 768). */
	frame->udp.rest = bpf_htonl((length - sizeof(frame->ip)) << 16);
	return bpf_redirect(settings->interface, 0);
}

SEC("xdp")
int bench_count(struct xdp_md *context)
{
	struct udp_frame *frame = (void *)(long)context->data;
	__u32 zero = 0;
	__u64 *count;

	if ((void *)(frame + 1) > (void *)(long)context->data_end || frame->ethernet.type != bpf_htons(ETHERTYPE_IPV4) ||
	    frame->ip.protocol != PROTOCOL_UDP)
		return XDP_PASS;
	count = bpf_map_lookup_elem(&delivered, &zero);
	if (count)
		(*count)++;
	return XDP_DROP;
}

SEC("xdp")
int bench_pass(struct xdp_md *context)
{
	(void)context;
	return XDP_PASS;
}

char bench_generator_license[] SEC("license") = "Dual BSD/GPL";
