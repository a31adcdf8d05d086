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

/* A slot by its number in the table, and the life it had when it was found. */
struct found {
	union life life;
	__u32 slot;
	__u32 dst;
};

/* A connection at hand. */
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

/* Whether the server of the slot is the sender of a reply. */
static __always_inline bool slot_answers(const struct conn4 *c, const struct flow *f)
{
	struct dst *d = dst_get(c->dst);

	return d && d->addr.w[0] == f->vaddr && (d->port ? d->port : c->vport) == f->rport;
}

/* Whether the slot is this packet's connection; fills out if so. */
static __always_inline bool slot_match(struct conn4 *c, const struct flow *f, __u32 now,
				       struct found *out)
{
	union life l;

	if (!slot_holds(c, f))
		return false;
	l = life_read(c);
	if (!life_valid(l, now) || (f->reply && !slot_answers(c, f)))
		return false;
	out->life = l;
	out->dst = c->dst;
	return true;
}

static __always_inline struct bucket4 *bucket_get(__u32 index)
{
	return bpf_map_lookup_elem(&conns4, &index);
}

static __always_inline bool bucket_find(__u32 bucket, const struct flow *f, __u32 now,
					struct found *out)
{
	struct bucket4 *b = bucket_get(bucket);

	if (!b)
		return false;
#pragma unroll
	for (int i = 0; i < SLOTS_PER_BUCKET; i++)
		if (slot_match(&b->slot[i], f, now, out)) {
			out->slot = bucket * SLOTS_PER_BUCKET + i;
			return true;
		}
	return false;
}

struct overflow_walk {
	struct flow flow;
	struct found found;
	__u32 base; /* offset in the overflow region */
	__u32 now;
	bool ok;
};

static __always_inline __u32 overflow_bucket(__u32 base, __u32 i)
{
	return conf_buckets + ((base + i) & (conf_overflow - 1));
}

static long overflow_find_step(__u32 i, struct overflow_walk *w)
{
	w->ok = bucket_find(overflow_bucket(w->base, i), &w->flow, w->now, &w->found);
	return w->ok;
}

static __always_inline bool overflow_find(const struct flow *f, __u64 hash, __u32 now,
					  struct found *out)
{
	__u32 group = overflow_group(hash);
	__u32 *hint = bpf_map_lookup_elem(&overflow_hints, &group);
	struct overflow_walk w = {.flow = *f, .base = group, .now = now};

	if (!hint || !READ_ONCE(*hint))
		return false;
	bpf_loop(OVERFLOW_RUN, overflow_find_step, &w, 0);
	if (w.ok)
		*out = w.found;
	return w.ok;
}

/*
 * The connection of a packet: 1 and fills out, or 0. A function of its own to
 * the verifier too, which otherwise follows each slot to the end of the program.
 */
__noinline int conn_find(const struct flow *f, __u64 hash, __u32 now, struct found *out)
{
	if (!f || !out)
		return 0;
	return bucket_find(bucket_first(hash), f, now, out) ||
	       bucket_find(bucket_second(hash), f, now, out) ||
	       overflow_find(f, hash, now, out);
}

static __always_inline bool conn_open(const struct found *found, struct conn_ref *ref)
{
	struct bucket4 *b = bucket_get(found->slot / SLOTS_PER_BUCKET);

	ref->dst = dst_get(found->dst);
	if (!b || !ref->dst)
		return false;
	ref->conn = &b->slot[found->slot % SLOTS_PER_BUCKET];
	ref->life = found->life;
	return true;
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
