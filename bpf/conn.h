/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The connection table: buckets of four slots in one array, two choices of
 * bucket, and behind them an overflow region for the client whose buckets are
 * full. The hash takes the client alone, so a packet from the client and the
 * answer from the server lead to the same slot.
 *
 * Why it is race-free. A slot has a life word {expires, state, flags, gen},
 * changed only by 64-bit compare-and-swap.
 *  - Claim: a free slot becomes BUSY with gen + 1 by one swap, so one CPU owns
 *    it. It writes the key, then makes it LIVE by a second, which is a full
 *    barrier: who sees LIVE sees the key.
 *  - One connection, one slot: births of a client's connections run under one
 *    of birth_locks, chosen by its hash, and look again before they claim. The
 *    lock does not cover the overflow region: two CPUs that see the first
 *    packets of one flow at once may both put it there. Look-ups find the
 *    first, and the other ends by its timeout.
 *  - Step and death: every swap names the gen and the state it was computed
 *    from. If the slot has died, or lives again as another connection, the
 *    swap fails and nothing is changed.
 *  - Counts move with the swaps: the CPU whose swap succeeded, and no other,
 *    adjusts dst.active and dst.inactive, so each transition is counted once.
 * A look-up on a weakly ordered CPU may still read a key from before a LIVE it
 * saw; it then misses, and the birth, under the lock, finds the slot.
 */
#pragma once

#include "base.h"

union life {
	struct {
		__u32 expires;
		__u8 state;
		__u8 flags;
		__u16 gen;
	};
	__u64 word;
};

/* A packet seen from the connection: who is the client, who the VIP. */
struct flow {
	__u64 key;   /* client's address and port, VIP's port or of a reply 0 */
	__u32 vaddr; /* of a reply: the server's address */
	__u16 rport; /* of a reply: the server's port */
	__u8 proto;
	__u8 reply;
};

#define CLIENT_MASK 0x0000ffffffffffffULL /* of key: address and port */

/* The key as it lies in a slot: a word, so that it is compared as one, and
 * made in a register, as a word read across narrower stores waits for them. */
static __always_inline __u64 flow_key(__u32 caddr, __u16 cport, __u16 vport)
{
	return caddr | (__u64)cport << 32 | (__u64)vport << 48;
}

static __always_inline __u64 *conn_key(struct conn4 *c)
{
	return (__u64 *)&c->caddr;
}

/* A connection at hand: its life is what it was when it was found. */
struct conn_ref {
	struct conn4 *conn;
	struct dst *dst;
	union life life;
};

static __always_inline __u64 *conn_life(struct conn4 *c)
{
	return (__u64 *)c;
}

static __always_inline union life life_read(struct conn4 *c)
{
	union life l = {.word = READ_ONCE(*conn_life(c))};

	return l;
}

static __always_inline __u64 client_hash(const struct flow *f)
{
	__u64 h = (f->key & CLIENT_MASK) ^ ((__u64)f->proto << 48);

	/* multiply, fold, multiply: seeded, so clients cannot aim at a bucket */
	h = (h ^ conf_seed[0]) * (conf_seed[1] | 1);
	h ^= h >> 32;
	h *= conf_seed[0] | 1;
	return h ^ (h >> 29);
}

/* The two buckets of a client, by the halves of its hash. */
static __always_inline __u32 bucket_first(__u64 hash)
{
	return hash & (conf_buckets - 1);
}

static __always_inline __u32 bucket_second(__u64 hash)
{
	return (hash >> 32) & (conf_buckets - 1);
}

static __always_inline __u32 overflow_group(__u64 hash)
{
	return bucket_first(hash) & (OVERFLOW_HINTS - 1);
}

static __always_inline bool life_valid(union life l, __u32 now)
{
	return (l.flags & CONN_LIVE) && (__s32)(now - l.expires) < 0;
}

static __always_inline struct dst *dst_get(__u32 index)
{
	return bpf_map_lookup_elem(&dsts, &index);
}

static __always_inline bool slot_holds(struct conn4 *c, const struct flow *f)
{
	__u64 key = READ_ONCE(*conn_key(c));

	if (!f->reply)
		return key == f->key && c->vaddr == f->vaddr && c->proto == f->proto;
	return ((key ^ f->key) & CLIENT_MASK) == 0 && c->proto == f->proto;
}

static __always_inline enum method life_method(union life l)
{
	return l.flags / CONN_METHOD & 3;
}

/* Whether the server of the slot is the sender of a reply. Replies of other
 * methods go by without us, and if they are routed through us, untouched. */
static __always_inline bool slot_answers(const struct conn4 *c, union life l,
					 const struct dst *d, const struct flow *f)
{
	return life_method(l) == METHOD_MASQ && d->addr.w[0] == f->vaddr && (d->port ? d->port : c->vport) == f->rport;
}

/* Whether the slot is this packet's connection; fills ref if so. */
static __always_inline bool slot_match(struct conn4 *c, const struct flow *f, __u32 now,
				       struct conn_ref *ref)
{
	struct dst *d;
	union life l;

	if (!slot_holds(c, f))
		return false;
	l = life_read(c);
	if (!life_valid(l, now))
		return false;
	d = dst_get(c->dst);
	if (!d || (f->reply && !slot_answers(c, l, d, f)))
		return false;
	ref->conn = c;
	ref->dst = d;
	ref->life = l;
	return true;
}

static __always_inline struct bucket4 *bucket_get(__u32 index)
{
	return bpf_map_lookup_elem(&conns4, &index);
}

/* The place of the connection in a bucket, or -1; fills ref. */
static __always_inline int bucket_find(struct bucket4 *b, const struct flow *f, __u32 now,
				       struct conn_ref *ref)
{
#pragma unroll
	for (int i = 0; i < SLOTS_PER_BUCKET; i++)
		if (slot_match(&b->slot[i], f, now, ref))
			return i;
	return -1;
}

#define NO_SLOT 0xffffffff /* lies beyond every table */

/* The number in the table of a connection's slot, or NO_SLOT. */
static __always_inline __u32 bucket_seek(__u32 bucket, const struct flow *f, __u32 now)
{
	struct bucket4 *b = bucket_get(bucket);
	struct conn_ref ref;
	int i = b ? bucket_find(b, f, now, &ref) : -1;

	return i < 0 ? NO_SLOT : bucket * SLOTS_PER_BUCKET + i;
}

struct overflow_walk {
	struct flow flow;
	__u32 group;
	__u32 now;
	__u32 slot;
};

/* The i-th bucket of a group's run; the runs begin all over the region. */
static __always_inline __u32 overflow_bucket(__u32 group, __u32 i)
{
	__u32 base = (__u64)group * conf_overflow / OVERFLOW_HINTS;

	return conf_buckets + ((base + i) & (conf_overflow - 1));
}

static long overflow_seek_step(__u32 i, struct overflow_walk *w)
{
	w->slot = bucket_seek(overflow_bucket(w->group, i), &w->flow, w->now);
	return w->slot != NO_SLOT;
}

static __always_inline __u32 overflow_seek(const struct flow *f, __u64 hash, __u32 now)
{
	__u32 group = overflow_group(hash);
	__u32 *hint = bpf_map_lookup_elem(&overflow_hints, &group);
	struct overflow_walk w = {.flow = *f, .group = group, .now = now, .slot = NO_SLOT};

	if (hint && READ_ONCE(*hint))
		bpf_loop(OVERFLOW_RUN, overflow_seek_step, &w, 0);
	return w.slot;
}

/*
 * Looks for a connection in all places: the number of its slot or NO_SLOT. A
 * function of its own to the verifier too, which otherwise follows each slot to
 * the end of the program.
 */
__noinline __u32 conn_seek(const struct flow *f, __u64 hash, __u32 now)
{
	__u32 slot;

	if (!f)
		return NO_SLOT;
	slot = bucket_seek(bucket_first(hash), f, now);
	if (slot == NO_SLOT)
		slot = bucket_seek(bucket_second(hash), f, now);
	return slot == NO_SLOT ? overflow_seek(f, hash, now) : slot;
}

/* Fills ref from a slot's number; looks again, as the slot may have changed. */
static __always_inline bool conn_open(__u32 slot, const struct flow *f, __u32 now,
				      struct conn_ref *ref)
{
	struct bucket4 *b = bucket_get(slot / SLOTS_PER_BUCKET);

	return b && slot_match(&b->slot[slot % SLOTS_PER_BUCKET], f, now, ref);
}

/* Finds the connection of a packet: most sit in their first bucket. */
static __always_inline bool conn_find(const struct flow *f, __u64 hash, __u32 now,
				      struct conn_ref *ref)
{
	struct bucket4 *b = bucket_get(bucket_first(hash));

	if (b && bucket_find(b, f, now, ref) >= 0)
		return true;
	return conn_open(conn_seek(f, hash, now), f, now, ref);
}

static __always_inline void dst_count(struct dst *d, __u8 flags, int by)
{
	if (flags & CONN_INACTIVE)
		__sync_fetch_and_add(&d->inactive, by);
	else
		__sync_fetch_and_add(&d->active, by);
}

/* Ends a connection whose life was l. False if another CPU was first. */
static __always_inline bool conn_end(struct conn4 *c, struct dst *d, union life l,
				     __u32 group)
{
	union life dead = {.gen = l.gen};
	__u32 *hint;

	if (CAS(conn_life(c), l.word, dead.word) != l.word)
		return false;
	dst_count(d, l.flags, -1);
	if (l.flags & CONN_OVERFLOW) {
		hint = bpf_map_lookup_elem(&overflow_hints, &group);
		if (hint)
			__sync_fetch_and_add(hint, -1);
	}
	return true;
}
