/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Finding the service of a packet, and a destination of the service. */
#pragma once

#include "limits.h"
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

#define NO_SERVICE 0xffffffff /* no slot */

static __always_inline __u32 service_slot(const struct svc_key *key)
{
	__u32 *slot = bpf_map_lookup_elem(&service_index, key);

	return slot ? *slot : NO_SERVICE;
}

static __always_inline struct service *service_get(__u32 slot)
{
	struct service *s = bpf_map_lookup_elem(&services, &slot);

	return s && READ_ONCE(s->state) == SVC_LIVE ? s : NULL;
}

/* Which slots services of late were in, by their address and port: a guess, which the
 * slot's own key confirms, so that most new connections need not ask the index. */
#define GUESSES 64

struct guesses {
	__u32 slot[GUESSES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct guesses);
} guesses_map SEC(".maps");

static __always_inline __u32 *guess_get(const struct svc_key *key)
{
	__u32 zero = 0;
	struct guesses *g = bpf_map_lookup_elem(&guesses_map, &zero);
	__u32 hash = (key->addr.w[0] ^ key->addr.w[3] ^ key->port) * 0x9e3779b1;

	return g ? &g->slot[hash >> 26] : NULL;
}

_Static_assert(GUESSES == 1 << (32 - 26), "guess_get");

static __always_inline bool service_is(__u32 slot, const struct svc_key *key)
{
	const struct service *s = service_get(slot);
	const __u64 *is = (const __u64 *)key, *has = (const __u64 *)s;

	return s && is[0] == has[0] && is[1] == has[1] && is[2] == has[2];
}

#define FTP_PORT 21
#define FTP_DATA_PORT 20
#define PORTS_RESERVED 1024 /* below it, only for services known by it */

/* Whether the packet may be of a data connection of FTP, whose port is agreed on
 * in the control connection (RFC 959). */
static __always_inline bool port_may_be_ftp(const struct pkt *p)
{
	__u16 port = bpf_ntohs(p->dport);

	return p->proto == IPPROTO_TCP && (port == FTP_DATA_PORT || port >= PORTS_RESERVED);
}

/*
 * The slot of the service of a packet: that of its firewall mark, of its port, of
 * FTP, of all ports. The mark is that of the rules, or else the one it came with, as
 * tc has its say before netfilter has. A function of its own, whose stack is free
 * again for what follows.
 */
__noinline __u32 service_find(const struct pkt *p)
{
	struct svc_key key = {};
	__u32 slot, *guess;

	if (!p)
		return NO_SERVICE;
	key.family = p->family;
	key.fwmark = mark_classify(p);
	if (!key.fwmark)
		key.fwmark = p->mark;
	if (key.fwmark) {
		slot = service_slot(&key);
		if (slot != NO_SERVICE)
			return slot;
		key.fwmark = 0;
	}
	if (p->family == FAMILY_V6)
		key.addr = p->daddr;
	else
		key.addr.w[0] = p->daddr.w[0];
	key.port = p->dport;
	key.proto = p->proto;
	guess = guess_get(&key);
	if (guess && service_is(*guess, &key))
		return *guess;
	slot = service_slot(&key);
	if (guess && slot != NO_SERVICE)
		*guess = slot;
	if (slot == NO_SERVICE && port_may_be_ftp(p)) {
		key.port = bpf_htons(FTP_PORT);
		slot = service_slot(&key);
	}
	if (slot == NO_SERVICE) {
		key.port = 0; /* all ports */
		slot = service_slot(&key);
	}
	return slot;
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
