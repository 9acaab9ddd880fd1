/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef PRONGHORN_SERVICE_CHOICE_H
#define PRONGHORN_SERVICE_CHOICE_H

/* From a packet of a new flow to its backend: who asks, and what the frontend has for them. */
#include "service_parse.h"

struct choice {
	struct backend_value backend;
	__u32 service;
	__u32 identifier;
	__u32 set;
	__u32 slot;
	__u16 service_flags;
	__u8 view_flags;
	__u8 client;
};

enum chosen {
	CHOSEN_BACKEND,
	CHOSEN_NOT_SERVICE,
	CHOSEN_REJECT,
	CHOSEN_DROP,
};

static __always_inline __u32 hash_step(__u32 hash, __u32 word)
{
	/* MurmurHash3's mixing of a 32-bit block. */
	word *= 0xcc9e2d51u;
	word = (word << 15) | (word >> 17);
	hash ^= word * 0x1b873593u;
	hash = (hash << 13) | (hash >> 19);
	return hash * 5 + 0xe6546b64u;
}

static __always_inline __u32 hash_finish(__u32 hash)
{
	hash ^= hash >> 16;
	hash *= 0x85ebca6bu;
	hash ^= hash >> 13;
	hash *= 0xc2b2ae35u;
	return hash ^ (hash >> 16);
}

/* The same on every node, so that a flow that moves between nodes keeps its Maglev backend. */
static __always_inline __u32 hash_flow(const struct connection_key *key)
{
	__u32 hash = key->protocol;

#pragma unroll
	for (int i = 0; i < 4; i++)
		hash = hash_step(hash_step(hash, key->source[i]), key->destination[i]);
	return hash_finish(hash_step(hash, (__u32)key->source_port << 16 | key->destination_port));
}

static __always_inline enum client_class classify_client(const __be32 *source)
{
	struct address_range_key range = { .prefix_length = 128 };

	if (node_address_flags(source) & NODE_ADDRESS_SOURCE)
		return CLIENT_NODE;
	address_copy(range.address, source);
	return bpf_map_lookup_elem(&pod_ranges, &range) ? CLIENT_POD : CLIENT_EXTERNAL;
}

static __always_inline int source_is_allowed(const struct service_view *view, __u32 service,
					     enum client_class client, const __be32 *source)
{
	struct source_range_key range = { .prefix_length = 160 };

	if (!(view->flags & VIEW_CHECK_SOURCE))
		return 1;
	if (client == CLIENT_NODE && (view->flags & VIEW_NODE_ALLOWED))
		return 1;
	range.service = bpf_htonl(service);
	address_copy(range.address, source);
	return bpf_map_lookup_elem(&source_ranges, &range) != 0;
}

static __always_inline __u32 choose_maglev(__u32 set, __u32 hash)
{
	void *table = bpf_map_lookup_elem(&maglev, &set);
	__u64 size = maglev_entries, index = hash % size;
	__u32 zero = 0;
	__u32 *entries;

	/* The verifier knows `size`, but not what a remainder is. */
	asm volatile("" : "+r"(index));
	if (index >= size)
		return 0;
	entries = table ? bpf_map_lookup_elem(table, &zero) : 0;
	return entries ? entries[index] : 0;
}

/* Affinity, else Maglev, else chance; Maglev also picks whom affinity remembers. 0 when the set is empty. */
static __always_inline __u32 choose_backend(const struct packet *packet, const struct service_value *service,
					    const struct service_view *view, __u32 *slot)
{
	struct affinity_key client;
	__u32 backend = 0;

	*slot = SLOT_NONE;
	if (service->affinity_timeout) {
		affinity_key_of_address(&client, service->service, packet->key.source);
		if (!(service->flags & SERVICE_MAGLEV))
			return choose_by_affinity(service, view, &client);
		backend = affinity_recall(&client, service->affinity_timeout, view->set);
		if (backend)
			return backend;
	}
	if (service->flags & SERVICE_MAGLEV)
		backend = choose_maglev(view->set, hash_flow(&packet->key));
	if (!backend)
		backend = choose_random(view, slot);
	if (backend && service->affinity_timeout)
		affinity_remember(&client, backend);
	return backend;
}

static __always_inline enum chosen chosen_drop(struct service_count *counts, enum packet_counter why)
{
	count_packet(why);
	if (counts)
		counts->dropped++;
	return CHOSEN_DROP;
}

static __always_inline enum chosen chosen_reject(struct service_count *counts)
{
	if (counts)
		counts->rejected++;
	return CHOSEN_REJECT;
}

/* What happens to a packet that belongs to no connection. */
static __noinline enum chosen choose(const struct packet *packet, struct choice *choice)
{
	struct service_value *service;
	struct backend_value *backend;
	struct service_count *counts;
	struct service_view *view;
	enum client_class client;

	service = service_find(packet->key.destination, packet->key.destination_port, packet->key.protocol);
	if (!service)
		return CHOSEN_NOT_SERVICE;
	client = classify_client(packet->key.source);
	view = &service->view[CLIENT_EXTERNAL];
	if (client == CLIENT_POD)
		view = &service->view[CLIENT_POD];
	else if (client == CLIENT_NODE)
		view = &service->view[CLIENT_NODE];
	counts = service_count_find(service->service);

	if (!source_is_allowed(view, service->service, client, packet->key.source))
		return chosen_drop(counts, PACKET_DROPPED_SOURCE_RANGE);
	if (view->action == SERVICE_DROP)
		return chosen_drop(counts, PACKET_DROPPED_POLICY);
	if (view->action != SERVICE_FORWARD)
		return chosen_reject(counts);
	choice->identifier = choose_backend(packet, service, view, &choice->slot);
	backend = backend_find(choice->identifier);
	if (!backend)
		return chosen_reject(counts);

	choice->backend = *backend;
	choice->service = service->service;
	choice->set = view->set;
	choice->service_flags = service->flags;
	choice->view_flags = view->flags;
	choice->client = client;
	return CHOSEN_BACKEND;
}

#endif
