/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The birth of a connection: claim a slot, fill it, publish it. The proof that
 * CPUs do not get in each other's way stands in conn.h. */
#pragma once

#include "find.h"

/* Claims a free slot of the bucket: its number, or -1 if there is none. */
static __always_inline int bucket_claim(struct bucket6 *b, union life *life)
{
#pragma unroll
	for (int i = 0; i < SLOTS_PER_BUCKET; i++) {
		struct conn *c = &b->slot[i];
		union life old = life_read(c), claimed = {};

		if (old.flags & (CONN_BUSY | CONN_LIVE))
			continue;
		claimed.flags = CONN_BUSY;
		claimed.gen = old.gen + 1;
		if (CAS(conn_life(c), old.word, claimed.word) == old.word) {
			*life = claimed;
			return i;
		}
	}
	return -1;
}

/* What a connection begins as. */
struct birth {
	struct flow flow;
	__u64 hash;
	union life life;       /* state, flags, expires */
	__u32 dst;
	__u32 now;
	/* see struct conn */
	__u8 control;
	__u16 nexthop;
	union {
		__u32 nexthop_stamp;
		__u32 slot; /* of one that was born: its number */
	};
};

/* Fills a claimed slot and brings it to life. */
static __always_inline void slot_publish(struct bucket6 *b, int i, union life claimed,
					 const struct birth *birth, const struct pkt *p,
					 union life born, const __u8 family)
{
	struct conn *c = &b->slot[i];

	*conn_key(c) = birth->flow.key;
	c->vaddr = birth->flow.vaddr;
	c->dst = birth->dst;
	c->proto = birth->flow.proto;
	c->control = birth->control;
	c->nexthop = birth->nexthop;
	c->nexthop_stamp = birth->nexthop_stamp;
	if (family == FAMILY_V6) {
		b->ends[i].caddr = p->saddr;
		b->ends[i].vaddr = p->daddr;
	}
	born.gen = claimed.gen;
	CAS(conn_life(c), claimed.word, born.word);
}

enum birth_result { BIRTH_FULL, BIRTH_NEW, BIRTH_EXISTS };

struct overflow_claim {
	struct birth *birth;
	const struct pkt *pkt;
	union life born;
	__u32 group;
	bool done;
};

static __always_inline long overflow_claim_step(__u32 i, struct overflow_claim *c,
						const __u8 family)
{
	__u32 bucket = overflow_bucket(c->group, i, family);
	struct bucket6 *b = bucket_get(bucket, family);
	union life claimed;
	int slot;

	if (!b)
		return 1;
	slot = bucket_claim(b, &claimed);
	if (slot < 0)
		return 0;
	slot = any_slot(slot);
	slot_publish(b, slot, claimed, c->birth, c->pkt, c->born, family);
	c->birth->slot = bucket * SLOTS_PER_BUCKET + slot;
	c->done = true;
	return 1;
}

static long overflow_claim4(__u32 i, struct overflow_claim *c)
{
	return overflow_claim_step(i, c, FAMILY_V4);
}

static long overflow_claim6(__u32 i, struct overflow_claim *c)
{
	return overflow_claim_step(i, c, FAMILY_V6);
}

static __always_inline int overflow_birth(struct birth *b, const struct pkt *p,
					  const __u8 family)
{
	struct overflow_claim claim = {
		.birth = b, .pkt = p, .born = b->life, .group = overflow_group(b->hash, family),
	};
	__u32 group = claim.group;
	__u32 *hint = bpf_map_lookup_elem(&overflow_hints, &group);

	if (!hint)
		return BIRTH_FULL;
	claim.born.flags |= CONN_OVERFLOW;
	/* before the slot lives, so that no look-up passes the region by */
	__sync_fetch_and_add(hint, 1);
	bpf_loop(OVERFLOW_RUN, family == FAMILY_V6 ? overflow_claim6 : overflow_claim4, &claim, 0);
	if (claim.done)
		return BIRTH_NEW;
	__sync_fetch_and_add(hint, -1);
	return BIRTH_FULL;
}

static __always_inline bool bucket_twin(struct bucket6 *b, const struct birth *birth,
					const struct pkt *p, const __u8 family)
{
	bool twin = false;

#pragma unroll
	for (int i = 0; i < SLOTS_PER_BUCKET; i++)
		if (!twin && slot_holds(b, i, &birth->flow, p, family)) {
			union life l = life_read(&b->slot[i]);

			twin = life_valid(l, birth->now) || template_stays(&b->slot[i], l);
		}
	return twin;
}

static __always_inline int bucket_load(struct bucket6 *b)
{
	int used = 0;

#pragma unroll
	for (int i = 0; i < SLOTS_PER_BUCKET; i++) {
		__u32 flags = life_read(&b->slot[i]).flags;

		/* CONN_BUSY or CONN_LIVE, without a branch for the verifier to follow */
		flags |= flags >> 1;
		KEEP_VALUE(flags);
		used += flags & 1;
	}
	return used;
}

/* Claims a slot and fills it, in the emptier of two buckets: filling the first
 * before the second would leave twice as many connections without a place in
 * either. */
static __always_inline bool buckets_claim(struct bucket6 *b1, struct bucket6 *b2,
					  struct birth *birth, const struct pkt *p,
					  const __u8 family)
{
	bool swap = bucket_load(b2) < bucket_load(b1);
	struct bucket6 *b = swap ? b2 : b1;
	union life claimed;
	int i = bucket_claim(b, &claimed);

	if (i < 0) {
		swap = !swap;
		b = swap ? b2 : b1;
		i = bucket_claim(b, &claimed);
	}
	if (i < 0)
		return false;
	slot_publish(b, i % SLOTS_PER_BUCKET, claimed, birth, p, birth->life, family);
	birth->slot = SLOTS_PER_BUCKET * (swap ? bucket_second(birth->hash, family)
					       : bucket_first(birth->hash, family)) + i;
	return true;
}

static __always_inline int birth(struct birth *b, const struct pkt *p, const __u8 family)
{
	struct bucket6 *b1, *b2;
	struct birth_lock *lock;
	bool twin, born = false;

	b1 = bucket_get(bucket_first(b->hash, family), family);
	b2 = bucket_get(bucket_second(b->hash, family), family);
	lock = birth_lock_get(b->hash);
	if (!b1 || !b2 || !lock)
		return BIRTH_FULL;

	bpf_spin_lock(&lock->lock);
	twin = bucket_twin(b1, b, p, family) || bucket_twin(b2, b, p, family);
	if (!twin)
		born = buckets_claim(b1, b2, b, p, family);
	bpf_spin_unlock(&lock->lock);

	if (twin)
		return BIRTH_EXISTS;
	return born ? BIRTH_NEW : overflow_birth(b, p, family);
}

/* Has the sweep look at a family's table, after something was born into it (expire.h). */
static __always_inline void family_wake(const __u8 family)
{
	struct flood *f = flood_get(family);

	if (f && READ_ONCE(f->sleep) != AWAKE)
		WRITE_ONCE(f->sleep, AWAKE);
}

static __always_inline int birth_awake(struct birth *b, const struct pkt *p,
				       const __u8 family)
{
	int rc = birth(b, p, family);

	if (rc == BIRTH_NEW)
		family_wake(family);
	return rc;
}

/* Makes the connection of a first packet, unless another CPU just has. Functions of their own for
 * the verifier's sake, as conn_seek. */
__noinline int conn_birth4(struct birth *b, const struct pkt *p)
{
	return b && p ? birth_awake(b, p, FAMILY_V4) : BIRTH_FULL;
}

__noinline int conn_birth6(struct birth *b, const struct pkt *p)
{
	return b && p ? birth_awake(b, p, FAMILY_V6) : BIRTH_FULL;
}

static __always_inline int conn_birth(struct birth *b, const struct pkt *p, const __u8 family)
{
	return family == FAMILY_V6 ? conn_birth6(b, p) : conn_birth4(b, p);
}
