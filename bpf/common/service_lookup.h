/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_SERVICE_LOOKUP_H
#define PRONGHORN_SERVICE_LOOKUP_H

/*
 * Finding the service that a destination is, and a backend of it: the same at a socket and at a packet.
 * Where the including program has a packet's hash, it chooses by Maglev itself.
 */
#include <bpf/bpf_endian.h>

#include "consts.h"
#include "service_maps.h"

#define NANOSECONDS 1000000000ULL

/* The order is the ABI of the map: LookupCounter in C#. Append only. */
enum lookup_counter {
	/* The remembered backend was taken. */
	LOOKUP_AFFINITY_KEPT,
	/* None was remembered, or the time was over, or that backend takes no more connections. */
	LOOKUP_AFFINITY_CHOSEN,
	/* The affinity could not be stored: the client may get another backend the next time. */
	LOOKUP_AFFINITY_FULL,
	/* The set shrank between two reads; the first slot was taken instead. */
	LOOKUP_EMPTY_SLOT,
	/* The set has no backend after all: treated as if no endpoint were usable. */
	LOOKUP_NO_BACKEND,
	LOOKUP_COUNTERS,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LOOKUP_COUNTERS);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, __u64);
} lookup_counts SEC(".maps");

static __always_inline void lookup_note(enum lookup_counter which)
{
	__u32 key = which;
	__u64 *value = bpf_map_lookup_elem(&lookup_counts, &key);

	if (value)
		(*value)++;
}

static __always_inline void address_set_ipv4(__be32 address[4], __be32 ipv4)
{
	address[0] = 0;
	address[1] = 0;
	address[2] = bpf_htonl(0xffff);
	address[3] = ipv4;
}

static __always_inline void address_copy(__be32 to[4], const __be32 from[4])
{
	to[0] = from[0];
	to[1] = from[1];
	to[2] = from[2];
	to[3] = from[3];
}

static __always_inline int address_equal(const __be32 left[4], const __be32 right[4])
{
	return left[0] == right[0] && left[1] == right[1] && left[2] == right[2] &&
	       left[3] == right[3];
}

static __always_inline int address_is_ipv4(const __be32 address[4])
{
	return address[0] == 0 && address[1] == 0 && address[2] == bpf_htonl(0xffff);
}

/* 0.0.0.0 or :: */
static __always_inline int address_is_unspecified(const __be32 address[4])
{
	return address[0] == 0 && address[1] == 0 && address[3] == 0 &&
	       (address[2] == 0 || address[2] == bpf_htonl(0xffff));
}

/* 127.0.0.0/8 or ::1 */
static __always_inline int address_is_loopback(const __be32 address[4])
{
	if (address_is_ipv4(address))
		return (address[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
	return address[0] == 0 && address[1] == 0 && address[2] == 0 && address[3] == bpf_htonl(1);
}

/* NODE_ADDRESS_* of an address; 0 when it is not the node's. */
static __always_inline __u32 node_address_flags(const __be32 address[4])
{
	__be32 key[4];
	__u32 *flags;

	if (address_is_ipv4(address) && address_is_loopback(address))
		address_set_ipv4(key, bpf_htonl(0x7f000001));
	else
		address_copy(key, address);
	flags = bpf_map_lookup_elem(&node_addresses, key);
	return flags ? *flags : 0;
}

/*
 * The service at a destination, or NULL. What is asked for by address goes before node ports. The
 * unspecified address is no destination: it stands for node ports in the table.
 */
static __always_inline struct service_value *service_find(const __be32 address[4], __be16 port,
							  __u8 protocol)
{
	struct service_key key = { .port = port, .protocol = protocol };
	struct service_value *service;

	if (address_is_unspecified(address))
		return 0;

	address_copy(key.address, address);
	service = bpf_map_lookup_elem(&services, &key);
	if (service || !(node_address_flags(address) & NODE_ADDRESS_PORTS))
		return service;

	key.address[0] = 0;
	key.address[1] = 0;
	key.address[2] = address_is_ipv4(address) ? bpf_htonl(0xffff) : 0;
	key.address[3] = 0;
	return bpf_map_lookup_elem(&services, &key);
}

/* The backend in a slot of a set; 0 when the slot is empty. */
static __always_inline __u32 set_slot(__u32 set, __u32 slot)
{
	struct slot_key key = { .set = set, .slot = slot };
	__u32 *backend = bpf_map_lookup_elem(&slots, &key);

	return backend ? *backend : 0;
}

/* A backend at random, and its slot; 0 when the set is empty. */
static __always_inline __u32 choose_random(const struct service_view *view, __u32 *slot)
{
	__u32 backend;

	*slot = 0;
	if (view->count == 0)
		return 0;

	*slot = bpf_get_prandom_u32() % view->count;
	backend = set_slot(view->set, *slot);
	if (backend)
		return backend;

	/* The set shrank after the view was read. Its first slot is the last one to go. */
	lookup_note(LOOKUP_EMPTY_SLOT);
	*slot = 0;
	return set_slot(view->set, 0);
}

static __always_inline void affinity_key_of_address(struct affinity_key *key, __u32 service,
						    const __be32 address[4])
{
	key->service = service;
	key->is_cookie = 0;
	address_copy(key->client, address);
}

static __always_inline void affinity_key_of_cookie(struct affinity_key *key, __u32 service,
						   __u64 cookie)
{
	key->service = service;
	key->is_cookie = 1;
	key->client[0] = (__u32)cookie;
	key->client[1] = (__u32)(cookie >> 32);
	key->client[2] = 0;
	key->client[3] = 0;
}

/* The backend that a client had last, if it is still in the set and the time is not over; else 0. */
static __always_inline __u32 affinity_recall(const struct affinity_key *client, __u32 timeout,
					     __u32 set)
{
	struct affinity_value *value = bpf_map_lookup_elem(&affinity, client);
	__u64 now = bpf_ktime_get_ns();
	struct member_key member = { .set = set };

	if (!value)
		return 0;

	/* Another processor may have written a moment that this one has not reached. */
	if (now > value->last_used_ns && now - value->last_used_ns > timeout * NANOSECONDS)
		return 0;

	member.backend = value->backend;
	if (!bpf_map_lookup_elem(&members, &member))
		return 0;
	value->last_used_ns = now;
	return member.backend;
}

static __always_inline void affinity_remember(const struct affinity_key *client, __u32 backend)
{
	struct affinity_value value = { .last_used_ns = bpf_ktime_get_ns(), .backend = backend };

	if (bpf_map_update_elem(&affinity, client, &value, BPF_ANY))
		lookup_note(LOOKUP_AFFINITY_FULL);
}

/* The remembered backend of a service with affinity, or one at random that is remembered from now on. */
static __always_inline __u32 choose_by_affinity(const struct service_value *service,
						const struct service_view *view,
						const struct affinity_key *client)
{
	__u32 backend = affinity_recall(client, service->affinity_timeout, view->set);
	__u32 slot;

	if (backend) {
		lookup_note(LOOKUP_AFFINITY_KEPT);
		return backend;
	}

	lookup_note(LOOKUP_AFFINITY_CHOSEN);
	backend = choose_random(view, &slot);
	if (backend)
		affinity_remember(client, backend);
	return backend;
}

static __always_inline struct backend_value *backend_find(__u32 backend)
{
	struct backend_value *value = 0;

	if (backend)
		value = bpf_map_lookup_elem(&backends, &backend);
	if (!value)
		lookup_note(LOOKUP_NO_BACKEND);
	return value;
}

static __always_inline struct service_settings *settings_get(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&settings, &key);
}

static __always_inline struct service_count *service_count_find(__u32 service)
{
	return bpf_map_lookup_elem(&service_counts, &service);
}

#endif
