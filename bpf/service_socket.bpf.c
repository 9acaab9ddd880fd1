// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The service load balancer at the socket: a connect or a datagram to a service is sent to a backend
 * before there is a packet. Nothing is translated on the way; recvmsg and getpeername show the
 * program the address that it asked for.
 */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "common/service_lookup.h"
#include "common/service_socket_maps.h"

#ifndef AF_INET6
#define AF_INET6 10
#endif

/* What a cgroup program returns. */
#define DENY 0
#define ALLOW 1

enum outcome {
	OUTCOME_PASS,
	OUTCOME_REWRITE,
	OUTCOME_REFUSE,
	OUTCOME_DENY,
};

struct destination {
	__be32 address[4];
	__be16 port;
};

static __always_inline void note(enum socket_counter which)
{
	__u32 key = which;
	__u64 *value = bpf_map_lookup_elem(&socket_counts, &key);

	if (value)
		(*value)++;
}

static __always_inline void count_connection(__u32 service)
{
	struct service_count *count = service_count_find(service);

	if (count)
		count->connections++;
}

static __always_inline enum outcome refuse(__u32 service)
{
	struct service_count *count = service_count_find(service);

	note(SOCKET_REFUSED);
	if (count)
		count->rejected++;
	return OUTCOME_REFUSE;
}

static __always_inline enum outcome deny(__u32 service)
{
	struct service_count *count = service_count_find(service);

	note(SOCKET_DENIED);
	if (count)
		count->dropped++;
	return OUTCOME_DENY;
}

static __always_inline struct socket_memory *memory_of(struct bpf_sock_addr *context)
{
	struct bpf_sock *socket = context->sk;

	if (!socket)
		return 0;
	return bpf_sk_storage_get(&socket_memories, socket, 0, BPF_SK_STORAGE_GET_F_CREATE);
}

/* A backend for a datagram: the one that this socket had, while it is in its slot. */
static __always_inline __u32 choose_for_datagram(struct socket_memory *memory,
						 const struct service_view *view)
{
	struct kept_choice *kept;
	__u32 backend, slot;

	if (!memory)
		return choose_random(view, &slot);

	kept = &memory->kept[view->set % KEPT_CHOICES];
	backend = kept->backend;
	if (backend && kept->set == view->set && set_slot(view->set, kept->slot) == backend)
		return backend;

	backend = choose_random(view, &slot);
	kept->set = view->set;
	kept->slot = slot;
	kept->backend = backend;
	return backend;
}

/* So that what is stored for a socket can be removed with it. */
static __always_inline void remember_peer(struct socket_memory *memory,
					  const struct socket_key *key)
{
	struct remembered_peer *peer = &memory->peers[memory->peer_count % REMEMBERED_PEERS];

	memory->peer_count++;
	address_copy(peer->address, key->address);
	peer->port = key->port;
}

/* Stores the way back. An answer to a datagram, and getpeername, go through it. */
static __always_inline void store_reverse(struct bpf_sock_addr *context, __u64 namespace_cookie,
					  const struct destination *original,
					  const struct backend_value *backend, __u32 service,
					  struct socket_memory *memory)
{
	struct socket_key key = {
		.cookie = bpf_get_socket_cookie(context),
		.port = backend->port,
	};
	struct socket_value value = {
		.namespace_cookie = namespace_cookie,
		.port = original->port,
		.protocol = context->protocol,
		.service = service,
	};
	struct socket_value *known;

	address_copy(key.address, backend->address);
	address_copy(value.address, original->address);

	known = bpf_map_lookup_elem(&socket_reverse, &key);
	if (memory && known && known->port == value.port && known->service == service &&
	    address_equal(known->address, value.address))
		return;

	count_connection(service);
	if (bpf_map_update_elem(&socket_reverse, &key, &value, BPF_ANY))
		note(SOCKET_REVERSE_FULL);
	else if (memory && !known)
		remember_peer(memory, &key);
}

/* Whether the class of this socket may use the view at all; OUTCOME_REWRITE: a backend is to be chosen. */
static __always_inline enum outcome judge(const struct service_value *service,
					  const struct service_view *view, enum client_class class)
{
	if (view->flags & VIEW_CHECK_SOURCE) {
		if (class != CLIENT_NODE) {
			note(SOCKET_DEFERRED);
			return OUTCOME_PASS;
		}
		if (!(view->flags & VIEW_NODE_ALLOWED))
			return deny(service->service);
	}

	switch (view->action) {
	case SERVICE_FORWARD:
		return OUTCOME_REWRITE;
	case SERVICE_REJECT:
		return refuse(service->service);
	default:
		return deny(service->service);
	}
}

/*
 * What becomes of a destination. On OUTCOME_REWRITE it is a backend's afterwards. `is_datagram`: an
 * unconnected socket sends one.
 */
static __always_inline enum outcome forward(struct bpf_sock_addr *context,
					    struct destination *destination, int is_datagram)
{
	struct service_settings *node = settings_get();
	struct socket_memory *memory = 0;
	const struct service_value *service;
	const struct service_view *view;
	struct destination asked = *destination;
	const struct backend_value *backend;
	struct affinity_key client;
	enum client_class class;
	enum outcome outcome;
	__u64 cookie;
	__u32 chosen, slot;

	if (context->protocol != PROTOCOL_TCP && context->protocol != PROTOCOL_UDP)
		return OUTCOME_PASS;
	if (!node || node->node_netns_cookie == 0) {
		note(SOCKET_NOT_READY);
		return OUTCOME_PASS;
	}

	cookie = bpf_get_netns_cookie(context);
	class = cookie == node->node_netns_cookie ? CLIENT_NODE : CLIENT_POD;

	/* A pod's loopback addresses are its own. The unspecified address is loopback (inet(4)). */
	if (address_is_unspecified(asked.address)) {
		if (asked.address[2] == 0)
			asked.address[3] = bpf_htonl(1);
		else
			asked.address[3] = bpf_htonl(0x7f000001);
	}
	if (class == CLIENT_POD && address_is_loopback(asked.address)) {
		note(SOCKET_PASSED);
		return OUTCOME_PASS;
	}

	service = service_find(asked.address, asked.port, context->protocol);
	if (!service) {
		note(SOCKET_PASSED);
		return OUTCOME_PASS;
	}

	view = class == CLIENT_NODE ? &service->view[CLIENT_NODE] : &service->view[CLIENT_POD];
	outcome = judge(service, view, class);
	if (outcome != OUTCOME_REWRITE)
		return outcome;

	if (is_datagram)
		memory = memory_of(context);
	if (service->affinity_timeout) {
		affinity_key_of_cookie(&client, service->service, cookie);
		chosen = choose_by_affinity(service, view, &client);
	} else if (is_datagram) {
		chosen = choose_for_datagram(memory, view);
	} else {
		chosen = choose_random(view, &slot);
	}

	backend = backend_find(chosen);
	if (!backend)
		return refuse(service->service);

	note(SOCKET_FORWARDED);
	store_reverse(context, cookie, destination, backend, service->service, memory);
	address_copy(destination->address, backend->address);
	destination->port = backend->port;
	return OUTCOME_REWRITE;
}

static __always_inline int verdict(enum outcome outcome)
{
	if (outcome == OUTCOME_REFUSE)
		bpf_set_retval(-ECONNREFUSED);
	return outcome == OUTCOME_PASS || outcome == OUTCOME_REWRITE ? ALLOW : DENY;
}

static __always_inline int forward_ipv4(struct bpf_sock_addr *context, int is_datagram)
{
	struct destination destination = { .port = (__be16)context->user_port };
	enum outcome outcome;

	address_set_ipv4(destination.address, context->user_ip4);
	outcome = forward(context, &destination, is_datagram);
	if (outcome == OUTCOME_REWRITE) {
		context->user_ip4 = destination.address[3];
		context->user_port = destination.port;
	}
	return verdict(outcome);
}

/* An IPv4-mapped destination of an IPv6 socket is in the table as it stands, and so is its backend. */
static __always_inline int forward_ipv6(struct bpf_sock_addr *context, int is_datagram)
{
	struct destination destination = { .port = (__be16)context->user_port };
	enum outcome outcome;

	destination.address[0] = context->user_ip6[0];
	destination.address[1] = context->user_ip6[1];
	destination.address[2] = context->user_ip6[2];
	destination.address[3] = context->user_ip6[3];
	outcome = forward(context, &destination, is_datagram);
	if (outcome == OUTCOME_REWRITE) {
		context->user_ip6[0] = destination.address[0];
		context->user_ip6[1] = destination.address[1];
		context->user_ip6[2] = destination.address[2];
		context->user_ip6[3] = destination.address[3];
		context->user_port = destination.port;
	}
	return verdict(outcome);
}

SEC("cgroup/connect4")
int pronghorn_connect4(struct bpf_sock_addr *context)
{
	return forward_ipv4(context, 0);
}

SEC("cgroup/connect6")
int pronghorn_connect6(struct bpf_sock_addr *context)
{
	return forward_ipv6(context, 0);
}

SEC("cgroup/sendmsg4")
int pronghorn_sendmsg4(struct bpf_sock_addr *context)
{
	return forward_ipv4(context, 1);
}

SEC("cgroup/sendmsg6")
int pronghorn_sendmsg6(struct bpf_sock_addr *context)
{
	return forward_ipv6(context, 1);
}

/* What a socket believes to talk to at an address, or NULL when that is the address. */
static __always_inline struct socket_value *original_of(struct bpf_sock_addr *context,
							const __be32 address[4])
{
	struct socket_key key = {
		.cookie = bpf_get_socket_cookie(context),
		.port = (__be16)context->user_port,
	};
	struct socket_value *value;

	address_copy(key.address, address);
	value = bpf_map_lookup_elem(&socket_reverse, &key);
	if (value)
		note(SOCKET_REVERSED);
	return value;
}

static __always_inline int reverse_ipv4(struct bpf_sock_addr *context)
{
	struct socket_value *original;
	__be32 address[4];

	address_set_ipv4(address, context->user_ip4);
	original = original_of(context, address);
	if (original) {
		context->user_ip4 = original->address[3];
		context->user_port = original->port;
	}
	return ALLOW;
}

static __always_inline int reverse_ipv6(struct bpf_sock_addr *context)
{
	struct socket_value *original;
	__be32 address[4];

	address[0] = context->user_ip6[0];
	address[1] = context->user_ip6[1];
	address[2] = context->user_ip6[2];
	address[3] = context->user_ip6[3];
	original = original_of(context, address);
	if (original) {
		context->user_ip6[0] = original->address[0];
		context->user_ip6[1] = original->address[1];
		context->user_ip6[2] = original->address[2];
		context->user_ip6[3] = original->address[3];
		context->user_port = original->port;
	}
	return ALLOW;
}

SEC("cgroup/recvmsg4")
int pronghorn_recvmsg4(struct bpf_sock_addr *context)
{
	return reverse_ipv4(context);
}

SEC("cgroup/recvmsg6")
int pronghorn_recvmsg6(struct bpf_sock_addr *context)
{
	return reverse_ipv6(context);
}

SEC("cgroup/getpeername4")
int pronghorn_getpeername4(struct bpf_sock_addr *context)
{
	return reverse_ipv4(context);
}

SEC("cgroup/getpeername6")
int pronghorn_getpeername6(struct bpf_sock_addr *context)
{
	return reverse_ipv6(context);
}

/* Whether a service has this node port on this address of the node. */
static __always_inline int node_port_is_taken(struct bpf_sock *socket, const __be32 address[4])
{
	struct service_key key = {
		.port = bpf_htons((__u16)socket->src_port),
		.protocol = (__u8)socket->protocol,
	};

	if (!address_is_unspecified(address) && !(node_address_flags(address) & NODE_ADDRESS_PORTS))
		return 0;

	key.address[2] = address_is_ipv4(address) ? bpf_htonl(0xffff) : 0;
	return bpf_map_lookup_elem(&services, &key) != 0;
}

static __always_inline int is_of_node(struct bpf_sock *socket)
{
	struct service_settings *node = settings_get();

	return node && node->node_netns_cookie != 0 &&
	       bpf_get_netns_cookie(socket) == node->node_netns_cookie;
}

static __always_inline int refuse_bind(void)
{
	note(SOCKET_BIND_REFUSED);
	bpf_set_retval(-EADDRINUSE);
	return DENY;
}

SEC("cgroup/post_bind4")
int pronghorn_post_bind4(struct bpf_sock *socket)
{
	__be32 address[4];

	if (!is_of_node(socket))
		return ALLOW;

	address_set_ipv4(address, socket->src_ip4);
	return node_port_is_taken(socket, address) ? refuse_bind() : ALLOW;
}

SEC("cgroup/post_bind6")
int pronghorn_post_bind6(struct bpf_sock *socket)
{
	__be32 address[4];

	if (!is_of_node(socket))
		return ALLOW;

	address[0] = socket->src_ip6[0];
	address[1] = socket->src_ip6[1];
	address[2] = socket->src_ip6[2];
	address[3] = socket->src_ip6[3];
	if (node_port_is_taken(socket, address))
		return refuse_bind();

	/* :: takes the port of both families, unless the socket is for IPv6 only, which is not visible here. */
	if (address_is_unspecified(address) && !address_is_ipv4(address)) {
		address_set_ipv4(address, 0);
		if (node_port_is_taken(socket, address))
			return refuse_bind();
	}
	return ALLOW;
}

static __always_inline void forget(struct socket_key *key)
{
	if (!bpf_map_delete_elem(&socket_reverse, key))
		note(SOCKET_RELEASED);
}

SEC("cgroup/sock_release")
int pronghorn_sock_release(struct bpf_sock *socket)
{
	struct socket_key key = { .cookie = bpf_get_socket_cookie(socket) };
	struct socket_memory *memory;
	__be32 ipv4;
	int i;

	/* Read one by one before the branch: the verifier refuses an address in the context that is chosen by it. */
	key.address[0] = socket->dst_ip6[0];
	key.address[1] = socket->dst_ip6[1];
	key.address[2] = socket->dst_ip6[2];
	key.address[3] = socket->dst_ip6[3];
	ipv4 = socket->dst_ip4;
	barrier();
	if (socket->family != AF_INET6)
		address_set_ipv4(key.address, ipv4);
	key.port = socket->dst_port;
	if (key.port)
		forget(&key);

	memory = bpf_sk_storage_get(&socket_memories, socket, 0, 0);
	if (!memory)
		return ALLOW;
	for (i = 0; i < REMEMBERED_PEERS; i++) {
		if (!memory->peers[i].port)
			break;
		address_copy(key.address, memory->peers[i].address);
		key.port = memory->peers[i].port;
		forget(&key);
	}
	return ALLOW;
}

char socket_license[] SEC("license") = "Dual BSD/GPL";
