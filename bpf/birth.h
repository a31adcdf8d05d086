/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The birth of a connection: claim a slot, fill it, publish it. The proof that
 * CPUs do not get in each other's way stands in conn.h. */
#pragma once

#include "conn.h"

/* Claims a free slot of the bucket, NULL if there is none. */
static __always_inline struct conn4 *bucket_claim(struct bucket4 *b, union life *life)
{
#pragma unroll
	for (int i = 0; i < SLOTS_PER_BUCKET; i++) {
		struct conn4 *c = &b->slot[i];
		union life old = life_read(c), claimed = {};

		if (old.flags & (CONN_BUSY | CONN_LIVE))
			continue;
		claimed.flags = CONN_BUSY;
		claimed.gen = old.gen + 1;
		if (CAS(conn_life(c), old.word, claimed.word) == old.word) {
			*life = claimed;
			return c;
		}
	}
	return NULL;
}

/* Fills a claimed slot and brings it to life. */
static __always_inline void slot_publish(struct conn4 *c, union life claimed,
					 const struct flow *f, __u32 dst,
					 union life born)
{
	*conn_key(c) = f->key;
	c->vaddr = f->vaddr;
	c->dst = dst;
	c->proto = f->proto;
	c->nexthop = 0;
	c->nexthop_stamp = 0;
	born.gen = claimed.gen;
	CAS(conn_life(c), claimed.word, born.word);
}

enum birth_result { BIRTH_FULL, BIRTH_NEW, BIRTH_EXISTS };

/* What a connection begins as. */
struct birth {
	struct flow flow;
	__u64 hash;
	union life life; /* state, flags, expires */
	__u32 dst;
	__u32 now;
};

struct overflow_claim {
	struct conn4 *conn;
	union life life;
	__u32 group;
};

static long overflow_claim_step(__u32 i, struct overflow_claim *c)
{
	struct bucket4 *b = bucket_get(overflow_bucket(c->group, i));

	if (!b)
		return 1;
	c->conn = bucket_claim(b, &c->life);
	return c->conn != NULL;
}

static __always_inline int overflow_birth(const struct birth *b)
{
	struct overflow_claim claim = {.group = overflow_group(b->hash)};
	__u32 group = claim.group;
	__u32 *hint = bpf_map_lookup_elem(&overflow_hints, &group);
	union life born = b->life;

	if (!hint)
		return BIRTH_FULL;
	/* before the slot lives, so that no look-up passes the region by */
	__sync_fetch_and_add(hint, 1);
	bpf_loop(OVERFLOW_RUN, overflow_claim_step, &claim, 0);
	if (!claim.conn) {
		__sync_fetch_and_add(hint, -1);
		return BIRTH_FULL;
	}
	born.flags |= CONN_OVERFLOW;
	slot_publish(claim.conn, claim.life, &b->flow, b->dst, born);
	return BIRTH_NEW;
}

static __always_inline int bucket_twin(struct bucket4 *b, const struct birth *birth)
{
	int twin = -1;

#pragma unroll
	for (int i = 0; i < SLOTS_PER_BUCKET; i++)
		if (twin < 0 && slot_holds(&b->slot[i], &birth->flow) &&
		    life_valid(life_read(&b->slot[i]), birth->now))
			twin = i;
	return twin;
}

static __always_inline int bucket_load(struct bucket4 *b)
{
	int used = 0;

#pragma unroll
	for (int i = 0; i < SLOTS_PER_BUCKET; i++)
		used += (life_read(&b->slot[i]).flags & (CONN_BUSY | CONN_LIVE)) != 0;
	return used;
}

/* Claims a slot in the emptier of two buckets: filling the first before the
 * second would leave twice as many connections without a place in either. */
static __always_inline struct conn4 *buckets_claim(struct bucket4 *b1, struct bucket4 *b2,
						   union life *life)
{
	bool swap = bucket_load(b2) < bucket_load(b1);
	struct bucket4 *emptier = swap ? b2 : b1, *other = swap ? b1 : b2;
	struct conn4 *c = bucket_claim(emptier, life);

	return c ? c : bucket_claim(other, life);
}

/*
 * Makes the connection, unless another CPU just has. A function of its own for
 * the verifier's sake, as conn_find.
 */
__noinline int conn_birth(const struct birth *b)
{
	struct bucket4 *b1, *b2;
	struct birth_lock *lock;
	struct conn4 *c = NULL;
	union life claimed = {};
	__u32 lock_index;
	bool twin;

	if (!b)
		return BIRTH_FULL;
	b1 = bucket_get(bucket_first(b->hash));
	b2 = bucket_get(bucket_second(b->hash));
	lock_index = (b->hash >> 16) & (BIRTH_LOCKS - 1);
	lock = bpf_map_lookup_elem(&birth_locks, &lock_index);
	if (!b1 || !b2 || !lock)
		return BIRTH_FULL;

	bpf_spin_lock(&lock->lock);
	twin = bucket_twin(b1, b) >= 0 || bucket_twin(b2, b) >= 0;
	if (!twin) {
		c = buckets_claim(b1, b2, &claimed);
		if (c)
			slot_publish(c, claimed, &b->flow, b->dst, b->life);
	}
	bpf_spin_unlock(&lock->lock);

	if (twin)
		return BIRTH_EXISTS;
	return c ? BIRTH_NEW : overflow_birth(b);
}
