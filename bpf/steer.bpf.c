// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Steering: what belongs to a port that user space owns goes to its AF_XDP socket; everything else
 * goes on into the kernel as if this program were not there. A frame is never dropped here.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "common/consts.h"
#include "common/maps.h"
#include "common/parse.h"

#ifndef AF_INET
#define AF_INET 2
#endif

/* The two ends of a flow, seen from this host. */
struct flow {
	__be32 local_address;
	__be32 remote_address;
	__be16 local_port;
	__be16 remote_port;
	__u8 protocol;
};

static __always_inline int pass(enum counter why)
{
	count(why);
	return XDP_PASS;
}

static __always_inline int redirect(struct xdp_md *context, enum counter why)
{
	int verdict = bpf_redirect_map(&xsks, context->rx_queue_index, XDP_PASS);

	count(verdict == XDP_REDIRECT ? why : COUNTER_NO_SOCKET);
	return verdict;
}

static __always_inline struct owned_value *find_owner(const struct flow *flow)
{
	struct owned_key key = {
		.protocol = flow->protocol,
		.port = flow->local_port,
		.address = { 0, 0, bpf_htonl(0xffff), flow->local_address },
	};

	return bpf_map_lookup_elem(&owned_ports, &key);
}

/*
 * What a listener of the kernel takes from an end where user space does not listen: a SYN, and the
 * answer to a SYN cookie, of which the kernel has no record to find.
 */
static __always_inline int listener_takes(struct bpf_sock *listener, const struct ipv4_header *ip,
					  const void *tcp, int is_opening)
{
	if (is_opening)
		return 1;
	return tcp && bpf_tcp_check_syncookie(listener, (void *)ip, sizeof(*ip), (void *)tcp,
					      TCP_HEADER_LENGTH) == 0;
}

/*
 * Whether the kernel holds a connection with these ends, accepted before user space took the port.
 * A connection in TIME_WAIT does not keep a new one (`is_opening`) from us. `tcp` is null where
 * there is no segment of the flow itself.
 */
static __always_inline int kernel_takes(struct xdp_md *context, const struct flow *flow,
					__u32 flags, const struct ipv4_header *ip,
					const void *tcp, int is_opening)
{
	struct bpf_sock_tuple tuple = {
		.ipv4 = {
			.saddr = flow->remote_address,
			.daddr = flow->local_address,
			.sport = flow->remote_port,
			.dport = flow->local_port,
		},
	};
	struct bpf_sock *socket;
	__u32 state;
	int takes;

	socket = bpf_skc_lookup_tcp(context, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	if (!socket)
		return 0;

	state = socket->state;
	if (state == KERNEL_TCP_LISTEN)
		takes = (flags & OWNED_LINGERING) && listener_takes(socket, ip, tcp, is_opening);
	else
		takes = !(is_opening && state == KERNEL_TCP_TIME_WAIT);
	bpf_sk_release(socket);
	return takes;
}

static __always_inline int steer_transport(struct xdp_md *context, const struct ipv4_header *ip,
					   void *transport, void *end)
{
	const struct port_header *ports = transport;
	const __u8 *tcp_flags = transport + 13;
	const __u32 ask = OWNED_CHECK_KERNEL | OWNED_LINGERING;
	struct owned_value *owner;
	struct flow flow;
	int is_opening = 0;

	if ((void *)(ports + 1) > end)
		return pass(COUNTER_MALFORMED);

	flow.local_address = ip->destination;
	flow.remote_address = ip->source;
	flow.local_port = ports->destination;
	flow.remote_port = ports->source;
	flow.protocol = ip->protocol;
	owner = find_owner(&flow);
	if (!owner)
		return pass(COUNTER_PASSED);

	/* User space cannot reassemble: it counts the first fragment and drops it. */
	if (ipv4_is_first_fragment(ip))
		return redirect(context, COUNTER_FRAGMENT_REDIRECTED);

	if ((owner->flags & ask) && flow.protocol == PROTOCOL_TCP) {
		if (transport + TCP_HEADER_LENGTH > end)
			return pass(COUNTER_MALFORMED);
		is_opening = (*tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_SYN;
		if (kernel_takes(context, &flow, owner->flags, ip, transport, is_opening))
			return pass(COUNTER_PASSED_KERNEL_SOCKET);
	}

	return redirect(context, COUNTER_REDIRECTED);
}

/* An ICMP error belongs to the sender of the packet that it quotes (RFC 1122 3.2.2). */
static __always_inline int steer_icmp(struct xdp_md *context, void *transport, void *end)
{
	const struct icmp_header *icmp = transport;
	const struct ipv4_header *quoted = (void *)(icmp + 1);
	const struct port_header *ports;
	struct owned_value *owner;
	struct flow flow;
	__u32 length;

	if ((void *)(icmp + 1) > end)
		return pass(COUNTER_MALFORMED);
	if (icmp->type != ICMP_DESTINATION_UNREACHABLE && icmp->type != ICMP_TIME_EXCEEDED &&
	    icmp->type != ICMP_PARAMETER_PROBLEM)
		return pass(COUNTER_PASSED);
	if ((void *)(quoted + 1) > end)
		return pass(COUNTER_MALFORMED);

	length = ipv4_header_length(quoted);
	ports = (void *)quoted + length;
	if (length == 0 || (void *)(ports + 1) > end)
		return pass(COUNTER_MALFORMED);
	if (ipv4_is_later_fragment(quoted) ||
	    (quoted->protocol != PROTOCOL_TCP && quoted->protocol != PROTOCOL_UDP))
		return pass(COUNTER_PASSED);

	flow.local_address = quoted->source;
	flow.remote_address = quoted->destination;
	flow.local_port = ports->source;
	flow.remote_port = ports->destination;
	flow.protocol = quoted->protocol;
	owner = find_owner(&flow);
	if (!owner)
		return pass(COUNTER_PASSED);
	if ((owner->flags & OWNED_CHECK_KERNEL) && flow.protocol == PROTOCOL_TCP &&
	    kernel_takes(context, &flow, owner->flags, quoted, 0, 0))
		return pass(COUNTER_PASSED_KERNEL_SOCKET);

	return redirect(context, COUNTER_ICMP_REDIRECTED);
}

static __always_inline int steer_ipv4(struct xdp_md *context, void *network, void *end)
{
	const struct ipv4_header *ip = network;
	void *transport;
	__u32 length;

	if ((void *)(ip + 1) > end)
		return pass(COUNTER_MALFORMED);

	length = ipv4_header_length(ip);
	if (length == 0)
		return pass(COUNTER_MALFORMED);
	if (ipv4_is_later_fragment(ip))
		return pass(COUNTER_FRAGMENT_PASSED);

	transport = network + length;
	switch (ip->protocol) {
	case PROTOCOL_TCP:
	case PROTOCOL_UDP:
		return steer_transport(context, ip, transport, end);
	case PROTOCOL_ICMP:
		return steer_icmp(context, transport, end);
	default:
		return pass(COUNTER_PASSED);
	}
}

SEC("xdp")
int pronghorn_steer(struct xdp_md *context)
{
	void *end = (void *)(long)context->data_end;
	struct ethernet_header *ethernet = (void *)(long)context->data;

	if ((void *)(ethernet + 1) > end)
		return pass(COUNTER_MALFORMED);

	/* A tagged frame belongs to a VLAN interface of the kernel. IPv6 becomes a second case here. */
	switch (ethernet->type) {
	case bpf_htons(ETHERTYPE_IPV4):
		return steer_ipv4(context, ethernet + 1, end);
	default:
		return pass(COUNTER_PASSED);
	}
}

char steer_license[] SEC("license") = "Dual BSD/GPL";
