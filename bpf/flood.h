/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Floods. Connections that only one end has spoken of, half-open ones, are all that
 * a flood of spoofed sources can make; so they have a part of the table, and no
 * flood takes more. They lie in slots like all others, so finding them costs nothing;
 * what bounds them is a ring with a place for each bucket, a quarter of the slots.
 * Who becomes half-open takes the next place, and whoever had it, the oldest, goes if
 * it still is.
 *
 * How many are half-open is one word of the family, flood.half_open. It changes with
 * the swap that makes, steps or ends a connection, by the CPU whose swap succeeded,
 * as the counts of destinations do (conn.h). So it is exact, and zero when the table
 * is empty; between a swap and its count it may be off by one for each CPU. User space
 * ends a half-open connection by its time alone, and leaves the count to the sweep.
 *
 * A place holds the number and the gen of a slot. It is a hint, never cleared: whom
 * it names may have ended, or been answered. So who is to be ended is looked at in
 * the slot, and the swap that ends it names the gen and the half-open state it was
 * seen in: no other connection is ever ended. A place written twice for one
 * connection, as by CPUs that see its first packets at once, only names it twice.
 *
 * The ring turns with every birth, and whoever is still half-open when it has gone
 * round need not go while there is room. As long as few are, an eighth of the places,
 * nobody looks whom a newcomer takes the place of, and those that lose it stay until
 * their timeout. Up to half of the places, the newcomer passes by those in use, a few
 * at most. From then on whoever had the place goes. So there are never more half-open
 * connections than places and an eighth, and in a flood each has the time in which as
 * many come as there are places.
 *
 * A slot is made free likewise where a newcomer finds none: half-open connections,
 * and templates made for them, give way in the client's buckets and overflow run. So
 * the table is full only of those that were answered.
 */
#pragma once

#include "making.h"
#include "tell.h"

#define HALF_CALM 3   /* up to places >> so much, nobody is looked at */
#define HALF_BUSY 1   /* beyond places >> so much, nobody is passed by */
#define HALF_PASSES 8 /* places looked at by a newcomer */

/* Whom a place of the ring names: the number of a slot, and its gen above. */
union half_place {
	struct {
		__u32 slot;
		__u16 gen;
		__u16 pad;
	};
	__u64 word;
};

/* The places of IPv6 lie behind those of IPv4. */
static __always_inline __u64 *half_place_get(__u32 turn, const __u8 family)
{
	__u32 place = turn & (bucket_count(family) - 1);

	if (family == FAMILY_V6)
		place += bucket_count(FAMILY_V4);
	return bpf_map_lookup_elem(&half_ring, &place);
}

/* Whether a half-open connection lies in a slot. Of a template the state means something
 * else. */
static __always_inline bool slot_half_open(const struct conn *c, union life l)
{
	return (l.flags & CONN_RETIRED) == CONN_LIVE && !(c->proto & TEMPLATE) &&
	       life_half_open(l);
}

/* Whether whom a place names is still there, and half-open. */
static __always_inline bool half_stands(union half_place place, const __u8 family)
{
	struct bucket6 *b = bucket_get(place.slot / SLOTS_PER_BUCKET, family);
	struct conn *c;
	union life l;

	if (!b)
		return false;
	c = &b->slot[place.slot % SLOTS_PER_BUCKET];
	l = life_read(c);
	return l.gen == place.gen && slot_half_open(c, l);
}

/* Ends whom a place names, if it is still half-open. */
static __always_inline int half_evict(union half_place place, const __u8 family)
{
	struct bucket6 *b = bucket_get(place.slot / SLOTS_PER_BUCKET, family);
	__u32 i = place.slot % SLOTS_PER_BUCKET;
	struct making *m = making_get();
	struct conn *c;
	union life l;
	struct dst *d;

	if (!b || !m)
		return false;
	c = &b->slot[i];
	l = life_read(c);
	d = dst_get(c->dst);
	if (!d || l.gen != place.gen || !slot_half_open(c, l) ||
	    !conn_finish(c, family == FAMILY_V6 ? &b->ends[i] : NULL, d, l,
			 overflow_group(conn_hash(c), family), TELL_DROPPED, &m->remains, family))
		return false;
	count(REASON_HALF_OPEN_EVICTED);
	return true;
}

/* Gives a connection that has become half-open its place, and says whom it names that
 * is to go. */
static __always_inline union half_place half_enter(union half_place self, const __u8 family)
{
	__s32 places = bucket_count(family), open;
	union half_place old = {.slot = NO_SLOT};
	struct flood *f = flood_get(family);
	__u64 *place;

	if (!f)
		return old;
	open = READ_ONCE(f->half_open);
#pragma clang loop unroll(disable)
	for (int passes = 1; passes <= HALF_PASSES; passes++) {
		place = half_place_get(__sync_fetch_and_add(&f->turn, 1), family);
		if (!place)
			break;
		if (open <= places >> HALF_CALM) {
			WRITE_ONCE(*place, self.word);
			break;
		}
		old.word = READ_ONCE(*place);
		if (open <= places >> HALF_BUSY && passes < HALF_PASSES && half_stands(old, family))
			continue;
		old.word = __sync_lock_test_and_set(place, self.word);
		return old;
	}
	old.slot = NO_SLOT;
	return old;
}

/* Functions of their own for the verifier's sake, and none calls another, as the stack
 * is small. */
__noinline __u64 half_enter4(__u64 self)
{
	return half_enter((union half_place){.word = self}, FAMILY_V4).word;
}

__noinline __u64 half_enter6(__u64 self)
{
	return half_enter((union half_place){.word = self}, FAMILY_V6).word;
}

__noinline int half_evict4(__u64 place)
{
	return half_evict((union half_place){.word = place}, FAMILY_V4);
}

__noinline int half_evict6(__u64 place)
{
	return half_evict((union half_place){.word = place}, FAMILY_V6);
}

/* After a connection was born, or stepped, whose slot has this number. */
static __always_inline void half_came(__u32 slot, union life l, const __u8 family)
{
	union half_place place = {.slot = slot, .gen = l.gen};

	if (!life_half_open(l))
		return;
	place.word = family == FAMILY_V6 ? half_enter6(place.word) : half_enter4(place.word);
	if (place.slot == NO_SLOT)
		return;
	if (family == FAMILY_V6)
		half_evict6(place.word);
	else
		half_evict4(place.word);
}

/* The number of a slot, by where it lies. */
static __always_inline __u32 slot_number(const struct conn *c, const __u8 family)
{
	void *table = bucket_get(0, family);
	__u64 at;

	if (!table)
		return NO_SLOT;
	at = (void *)c - table;
	if (family == FAMILY_V4)
		return at / sizeof(struct conn);
	return at / sizeof(struct bucket6) * SLOTS_PER_BUCKET +
	       at % sizeof(struct bucket6) / sizeof(struct conn);
}

/* After a connection was stepped by a swap. */
static __always_inline void half_stepped(const struct conn *c, union life old, union life next,
					 const __u8 family)
{
	if (life_half_open(old) == life_half_open(next))
		return;
	half_count(old, -1, family);
	half_count(next, 1, family);
	half_came(slot_number(c, family), next, family);
}

/* Whether what lies in a slot may give way to a newcomer, as its time is over or it
 * was never answered. A template that holds connections does not. */
static __always_inline bool slot_yields(const struct conn *c, union life l, __u32 now)
{
	if ((l.flags & CONN_RETIRED) != CONN_LIVE || template_stays(c, l))
		return false;
	return life_over(l, now) || slot_half_open(c, l) ||
	       (c->proto & TEMPLATE && !(l.state & TEMPLATE_ASSURED));
}

struct room_walk {
	__u64 hash;
	__u32 now;
	__u32 slot; /* of whom is to give way, or NO_SLOT */
	union life life;
};

/* Looks in a client's buckets, one after the other, for whose time is over soonest. */
static __always_inline long room_step(__u32 i, struct room_walk *w, const __u8 family)
{
	__u32 bucket = client_bucket(w->hash, i, family);
	struct bucket6 *b = bucket_get(bucket, family);

	if (!b)
		return 1;
#pragma unroll
	for (int s = 0; s < SLOTS_PER_BUCKET; s++) {
		union life l = life_read(&b->slot[s]);

		if (slot_yields(&b->slot[s], l, w->now) &&
		    (w->slot == NO_SLOT || (__s32)(l.expires - w->life.expires) < 0)) {
			w->slot = bucket * SLOTS_PER_BUCKET + s;
			w->life = l;
		}
	}
	return 0;
}

static long room_step4(__u32 i, struct room_walk *w)
{
	return room_step(i, w, FAMILY_V4);
}

static long room_step6(__u32 i, struct room_walk *w)
{
	return room_step(i, w, FAMILY_V6);
}

/* Makes a slot free for a client that finds none: false if nobody gives way. */
static __always_inline int room_make(__u64 hash, __u32 now, const __u8 family)
{
	struct room_walk w = {.hash = hash, .now = now, .slot = NO_SLOT};
	struct making *m = making_get();
	struct sweep *s = sweep_get();
	struct bucket6 *b;
	struct dst *d;

	bpf_loop(2 + OVERFLOW_RUN, family == FAMILY_V6 ? room_step6 : room_step4, &w, 0);
	b = bucket_get(w.slot / SLOTS_PER_BUCKET, family);
	if (!b || !m || !s)
		return false;
	d = dst_get(b->slot[w.slot % SLOTS_PER_BUCKET].dst);
	if (!d || !slot_finish(b, w.slot % SLOTS_PER_BUCKET, d, w.life, now, TELL_DROPPED,
			       &m->remains, family))
		return false;
	if (life_over(w.life, now))
		__sync_fetch_and_add(&s->expired, 1);
	else
		count(REASON_HALF_OPEN_EVICTED);
	return true;
}

__noinline int room_make4(__u64 hash, __u32 now)
{
	return room_make(hash, now, FAMILY_V4);
}

__noinline int room_make6(__u64 hash, __u32 now)
{
	return room_make(hash, now, FAMILY_V6);
}

/* Whether to try once more to make what found no slot. */
static __always_inline bool room_made(const struct birth *b, const __u8 family)
{
	return family == FAMILY_V6 ? room_make6(b->hash, b->now) : room_make4(b->hash, b->now);
}
