/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What the schedulers that hash have in common: the fold of an address, the table
 * behind the entries, and the walk of those who are hashed again. */
#pragma once

/* An address in 32 bits, host order. */
static __always_inline __u32 addr_fold(const union addr *a, __u8 family)
{
	__u32 fold = a->w[0];

	if (family == FAMILY_V6)
		fold ^= a->w[1] ^ a->w[2] ^ a->w[3];
	return bpf_ntohl(fold);
}

/* Fibonacci hashing: the upper bits of a product with 2^32 by the golden ratio. */
static __always_inline __u32 golden_hash(__u32 value, __u32 bits)
{
	return value * 0x61c88647u >> (32 - bits);
}

/* The entry at a place of the table: its position, NO_PLACE if there is none. */
static __always_inline __u32 place_get(const struct view *v, __u32 place)
{
	union unit *u = unit_get(v->first + 1 + v->count + place / PLACES_PER_UNIT);

	return u ? READ_ONCE(u->place[place % PLACES_PER_UNIT]) : NO_PLACE;
}

static __always_inline bool position_usable(const struct view *v, __u32 position)
{
	struct entry *e = entry_get(v, position);

	return e && entry_usable(e);
}

/* The client as sh and mh see it. */
static __always_inline __u32 client_fold(const struct view *v, const struct pkt *p)
{
	__u32 fold = addr_fold(&p->saddr, p->family);

	return v->version.sched_flags & SCHED_PORT ? fold + bpf_ntohs(p->sport) : fold;
}

struct hash_walk {
	const struct view *view;
	__u32 client;
	__u32 place; /* its own */
	__u32 position;
};

/*
 * Defines NAME_pick for a hash of the client, hash(client, offset), into places of
 * the table. Who finds nobody usable at the first place is refused, or with the
 * flag hashed again with every offset there is, from that place on.
 */
#define CLIENT_HASH_PICK(name, hash, places)                                   \
	static long name##_step(__u32 i, struct hash_walk *w)                  \
	{                                                                      \
		w->position = place_get(w->view, hash(w->client, (w->place + i) % places)); \
		return w->position == NO_PLACE || position_usable(w->view, w->position); \
	}                                                                      \
                                                                               \
	static __always_inline int name##_pick(struct service *s, const struct view *v, \
					       const struct pkt *p)            \
	{                                                                      \
		struct hash_walk w = {.view = v, .client = client_fold(v, p)}; \
                                                                               \
		w.place = hash(w.client, 0);                                   \
		w.position = place_get(v, w.place);                            \
		if (w.position == NO_PLACE)                                    \
			return -REASON_NO_DESTINATION;                         \
		if (position_usable(v, w.position))                            \
			return w.position;                                     \
		if (!(v->version.sched_flags & SCHED_FALLBACK))                \
			return -REASON_NO_DESTINATION;                         \
		bpf_loop(places, name##_step, &w, 0);                          \
		if (w.position == NO_PLACE || !position_usable(v, w.position)) \
			return -REASON_NO_DESTINATION;                         \
		return w.position;                                             \
	}
