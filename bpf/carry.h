/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Connections carried over from another table, of which user space reads them. A record
 * says what a connection was when it was last carried, and what it is now:
 *  - one that is not here yet is born, by the code that all are born by, so that this
 *    table may be as large, hashed and laid out as it likes;
 *  - one that is here and unchanged since takes the life it has there; who has seen
 *    packets here meanwhile knows better, and stays;
 *  - one that has ended there ends.
 * So a record may be carried twice, and packets may come in between.
 *
 * Templates bring along how many connections they hold; those carried over are not
 * counted once more, and those that end here after they have ended there are counted
 * off there. A template that leads nowhere any more is not carried.
 */
#pragma once

#include "expire.h"
#include "flood.h"

MAPPED(carries, struct carried, CARRIED_MOST);

/* User space carries one record after the other, in the context of a process: what
 * CPUs work with for packets is not for it. */
struct carrying {
	struct pkt pkt;
	struct birth birth;
	__u32 settled; /* this table has all the connections: none is born */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct carrying);
} carryings SEC(".maps");

static __always_inline union life carried_life(__u64 word)
{
	union life l = {.word = word};

	l.flags &= ~CONN_OVERFLOW; /* is of the place where it lies */
	l.gen = 0;
	return l;
}

/* Counts what was carried to life or death. */
static __always_inline void carried_count(__u8 proto, struct dst *d, union life l, int by,
					  const __u8 family)
{
	if (proto & TEMPLATE) {
		__sync_fetch_and_add(&d->persistent, by);
		return;
	}
	dst_count(d, l.flags, by);
	half_count(l, by, family);
}

/* Gives who is half-open its place, and whoever has that its time. */
static __always_inline void carried_half(__u32 slot, const struct conn *c, union life l,
					 const __u8 family)
{
	union half_place place = {.slot = slot, .gen = l.gen};

	if (c->proto & TEMPLATE || !life_half_open(l))
		return;
	if (family == FAMILY_V6)
		half_enter6(place.word);
	else
		half_enter4(place.word);
}

/* Ends a connection as it has ended there: whom that concerns was told there. */
static __always_inline void carried_end(struct conn *c, union life l, __u64 hash,
					const __u8 family)
{
	struct dst *d = dst_get(c->dst);
	struct sweep *s = sweep_get();
	__u32 dst = c->dst;
	__u8 proto = c->proto;

	if (!d || !s || !conn_end(c, l))
		return;
	conn_uncount(d, dst, proto, l, overflow_group(hash, family), family);
	__sync_fetch_and_add(&s->expired, 1);
}

/* A template holds more, or fewer, than when it was last carried. */
static __always_inline void carried_hold(struct conn *t, const struct carried *r, __u64 hash)
{
	struct birth_lock *lock = birth_lock_get(hash);

	if (!lock)
		return;
	bpf_spin_lock(&lock->lock);
	t->control = r->control;
	t->nexthop = r->nexthop;
	t->nexthop_stamp += r->nexthop_stamp;
	bpf_spin_unlock(&lock->lock);
}

/* Gives what is here the life it has there, if it is as it was. */
static __always_inline void carried_step(__u32 slot, struct conn *c, const struct carried *r,
					 __u64 hash, const __u8 family)
{
	union life old = life_read(c), was = carried_life(r->was), next = carried_life(r->life);
	struct dst *d = dst_get(c->dst);

	if (c->proto & TEMPLATE && r->was && c->dst == r->dst)
		carried_hold(c, r, hash);
	if (!d || c->dst != r->dst || (r->was && carried_life(old.word).word != was.word))
		return;
	next.flags |= old.flags & CONN_OVERFLOW;
	next.gen = old.gen;
	if (CAS(conn_life(c), old.word, next.word) != old.word)
		return;
	carried_count(r->proto, d, old, -1, family);
	carried_count(r->proto, d, next, 1, family);
	if (!life_half_open(old))
		carried_half(slot, c, next, family);
}

/* Brings a record to life: false if there is no room. */
static __always_inline bool carried_birth(struct carrying *w, const struct carried *r,
					  const __u8 family)
{
	struct dst *d = dst_get(r->dst);
	struct sweep *s = sweep_get();
	struct birth *b = &w->birth;
	struct bucket6 *bucket;
	struct conn *c;
	__u32 slot;

	if (!d || !s) /* to nowhere */
		return true;
	b->life = carried_life(r->life);
	b->dst = r->dst;
	b->control = r->control;
	b->nexthop = r->nexthop;
	b->nexthop_stamp = r->nexthop_stamp;
	switch (conn_birth(b, &w->pkt, family)) {
	case BIRTH_FULL:
		return false;
	case BIRTH_EXISTS:
		return true;
	}
	__sync_fetch_and_add(&s->expired, -1); /* which is subtracted from those that were born */
	carried_count(r->proto, d, b->life, 1, family);
	slot = conn_seek(&b->flow, &w->pkt, b->hash, b->now, family);
	bucket = bucket_get(slot / SLOTS_PER_BUCKET, family);
	if (!bucket) /* its time is over already */
		return true;
	c = &bucket->slot[slot % SLOTS_PER_BUCKET];
	carried_half(slot, c, life_read(c), family);
	return true;
}

/* Carries one record: false if there is no room for it. */
static __always_inline bool carry(struct carrying *w, const struct carried *r, const __u8 family)
{
	struct bucket6 *bucket;
	union life old;
	struct conn *c;
	__u32 slot;
	bool same;

	if (w->settled && !r->was)
		return true;
	w->pkt.saddr = r->caddr;
	w->pkt.daddr = r->vaddr;
	w->pkt.sport = r->cport;
	w->pkt.dport = r->vport;
	w->pkt.proto = r->proto;
	w->pkt.family = family;
	w->birth.now = now_jiffies();
	flow_forward(&w->pkt, &w->birth.flow, family);
	w->birth.hash = client_hash(&w->birth.flow);
	slot = conn_seek(&w->birth.flow, &w->pkt, w->birth.hash, w->birth.now, family);
	bucket = bucket_get(slot / SLOTS_PER_BUCKET, family);
	if (bucket) {
		c = &bucket->slot[slot % SLOTS_PER_BUCKET];
		old = life_read(c);
		if (r->life && (c->dst == r->dst || w->settled)) {
			carried_step(slot, c, r, w->birth.hash, family);
			return true;
		}
		same = c->dst == r->dst && carried_life(old.word).word == carried_life(r->was).word;
		if (r->life || same) /* it has ended; or its client has come anew, for another server */
			carried_end(c, old, w->birth.hash, family);
	}
	return !r->life || w->settled || carried_birth(w, r, family);
}

/* Functions of their own for the verifier's sake. */
__noinline int carry4(__u32 index)
{
	struct carried *r = bpf_map_lookup_elem(&carries, &index);
	__u32 zero = 0;
	struct carrying *w = bpf_map_lookup_elem(&carryings, &zero);

	return r && w ? carry(w, r, FAMILY_V4) : false;
}

__noinline int carry6(__u32 index)
{
	struct carried *r = bpf_map_lookup_elem(&carries, &index);
	__u32 zero = 0;
	struct carrying *w = bpf_map_lookup_elem(&carryings, &zero);

	return r && w ? carry(w, r, FAMILY_V6) : false;
}

static long carry_step(__u32 i, void *unused)
{
	struct carried *r = bpf_map_lookup_elem(&carries, &i);

	if (!r)
		return 1;
	r->refused = r->family == FAMILY_V6 ? !carry6(i) : !carry4(i);
	return 0;
}

/* Carries so many records. */
static __always_inline int carry_all(__u32 count, __u32 settled)
{
	__u32 zero = 0;
	struct carrying *w = bpf_map_lookup_elem(&carryings, &zero);

	if (!w)
		return 1;
	w->settled = settled;
	bpf_loop(count, carry_step, NULL, 0);
	return 0;
}

/* What the other table's programs counted. */
MAPPED(carried_counters, struct counters, 1);

/* Adds it to what these have. What those bore and ended is no more of this table than
 * what was carried to it. */
static __always_inline int carry_counters(void)
{
	__u32 zero = 0;
	struct counters *from = bpf_map_lookup_elem(&carried_counters, &zero);
	struct counters *to = bpf_map_lookup_elem(&counters_map, &zero);
	struct sweep *s = sweep_get();

	if (!from || !to || !s)
		return 1;
	for (int i = 0; i < REASON_COUNT; i++)
		__sync_fetch_and_add(&to->count[i], from->count[i]);
	__sync_fetch_and_add(&s->expired, born_of(from));
	return 0;
}
