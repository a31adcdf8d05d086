/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Finding the service of a packet, and a destination of the service. */
#pragma once

#include "locality.h"
#include "mark.h"
#include "pkt.h"

/* The configuration of a service, as one packet sees it throughout. */
struct view {
	__u32 first; /* unit */
	__u32 count; /* of destinations */
	struct version version;
};

/* In a map, as what chooses stands deep on the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct view);
} views SEC(".maps");

static __always_inline union unit *unit_get(__u32 index)
{
	return bpf_map_lookup_elem(&units, &index);
}

static __always_inline struct entry *entry_get(const struct view *v, __u32 i)
{
	union unit *u = unit_get(v->first + 1 + i);

	return u ? &u->entry : NULL;
}

#include "sched/all.h"

static __always_inline struct service *service_get(const struct svc_key *key)
{
	__u32 *index = bpf_map_lookup_elem(&service_index, key);
	struct service *s;

	if (!index)
		return NULL;
	s = bpf_map_lookup_elem(&services, index);
	if (!s || READ_ONCE(s->state) != SVC_LIVE)
		return NULL;
	return s;
}

/*
 * The service of a packet: that of its firewall mark before that of its address. The
 * mark is that of the rules, or else the one it came with, as tc has its say before
 * netfilter has. A function of its own, whose stack is free again for what follows.
 */
static __noinline struct service *service_find(const struct pkt *p)
{
	struct svc_key key = {.family = p->family, .fwmark = mark_classify(p)};
	struct service *s;

	if (!key.fwmark)
		key.fwmark = p->mark;
	if (key.fwmark) {
		s = service_get(&key);
		if (s)
			return s;
		key.fwmark = 0;
	}
	if (p->family == FAMILY_V6)
		key.addr = p->daddr;
	else
		key.addr.w[0] = p->daddr.w[0];
	key.port = p->dport;
	key.proto = p->proto;
	return service_get(&key);
}

static __always_inline bool view_open(__u64 word, struct view *v)
{
	union unit *u;

	v->first = word & ((1 << VERSION_UNIT_BITS) - 1);
	v->count = word >> VERSION_UNIT_BITS & ((1 << VERSION_COUNT_BITS) - 1);
	u = unit_get(v->first);
	if (!u)
		return false;
	v->version = u->version;
	return true;
}

/*
 * Chooses a destination for a new connection and copies its entry. The units
 * read belong to one version: if the word has moved meanwhile, an edit came
 * between, and the choice is made again. Negative: the reason why there is
 * none. A function of its own, whose stack is free again for the birth.
 */
__noinline int service_pick(struct service *s, const struct pkt *p, struct entry *out)
{
	__u32 zero = 0;
	struct view *v = bpf_map_lookup_elem(&views, &zero);

	if (!s || !p || !out || !v)
		return -REASON_NO_DESTINATION;
	for (int tries = 0; tries < 3; tries++) {
		__u64 word = READ_ONCE(s->version);
		struct entry *e;
		int i;

		if (!view_open(word, v))
			return -REASON_NO_DESTINATION;
		i = sched_pick(s, v, p);
		if (i >= 0) {
			e = entry_get(v, i);
			if (!e)
				return -REASON_NO_DESTINATION;
			*out = *e;
		}
		barrier();
		if (READ_ONCE(s->version) == word)
			return i < 0 ? i : 0;
	}
	return -REASON_NO_DESTINATION;
}
