/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Fragments that overtook the first of their packet. They are kept in a ring of
 * frames, where the newest takes the place of the oldest, so nobody can fill more
 * than that. When the first comes, a copy of it is made into each of those that
 * wait for it, and comes in once more by the interface the waiting one came by:
 * behind the first, and by the way of any other. What waits longer than Linux would
 * wait is lost.
 *
 * A place belongs to whoever swaps its turn to KEPT_BUSY. Neither side can miss the
 * other: who keeps a fragment looks for the first once more afterwards, and the first
 * is noted before anybody looks for what waits for it.
 */
#pragma once

#include "frag.h"

#define KEPT_FRAMES 512
#define KEPT_BYTES 2048 /* of a frame; a power of two */

enum kept_turn { KEPT_FREE, KEPT_BUSY, KEPT_READY };

struct kept {
	__u32 turn;
	__u32 stamp; /* jiffies */
	__u32 ifindex;
	__u32 len; /* of the frame */
	struct frag_key key;
	__u8 frame[KEPT_BYTES];
};

MAPPED(kept_frames, struct kept, KEPT_FRAMES);

struct kept_ring {
	__u32 next;
	__u32 waiting; /* how many places are taken: mostly none, and nobody looks */
};

MAPPED(kept_rings, struct kept_ring, 1);

/* The first fragment, while the packet is made into others. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct kept);
} kept_firsts SEC(".maps");

static __always_inline struct kept_ring *kept_ring(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&kept_rings, &zero);
}

/* Reads the frame, or makes the packet the frame; false on failure. */
static __always_inline bool kept_load(CTX *ctx, struct kept *k, __u32 len)
{
	k->len = len--;
	KEEP_VALUE(len);
	return !bpf_skb_load_bytes(ctx, 0, k->frame, (len & (KEPT_BYTES - 1)) + 1);
}

static __always_inline bool kept_store(CTX *ctx, struct kept *k)
{
	__u32 len = k->len - 1;

	KEEP_VALUE(len);
	return !bpf_skb_change_tail(ctx, len + 1, 0) &&
	       !bpf_skb_store_bytes(ctx, 0, k->frame, (len & (KEPT_BYTES - 1)) + 1,
				    BPF_F_INVALIDATE_HASH);
}

/* Takes the next place of the ring, and what waits there is lost; NULL if another
 * CPU is at it. */
static __always_inline struct kept *kept_claim(struct kept_ring *ring)
{
	__u32 index = __sync_fetch_and_add(&ring->next, 1) & (KEPT_FRAMES - 1);
	struct kept *k = bpf_map_lookup_elem(&kept_frames, &index);
	__u32 turn;

	if (!k)
		return NULL;
	turn = READ_ONCE(k->turn);
	if (turn == KEPT_BUSY || CAS(&k->turn, turn, KEPT_BUSY) != turn)
		return NULL;
	if (turn == KEPT_READY)
		count(REASON_FRAGMENT_LOST);
	else
		__sync_fetch_and_add(&ring->waiting, 1);
	return k;
}

static __always_inline void kept_free(struct kept *k, struct kept_ring *ring)
{
	__sync_fetch_and_add(&ring->waiting, -1);
	CAS(&k->turn, KEPT_BUSY, KEPT_FREE);
}

/*
 * Keeps a fragment whose first has not come: the reason under which it leaves, or 0
 * if the first has come meanwhile. A function of its own for the verifier's sake.
 */
__noinline int frag_keep(CTX *ctx, struct pkt *p)
{
	struct kept_ring *ring = kept_ring();
	__u32 len = ctx->len;
	struct kept *k;

	if (!p || !ring || len < L3_OFFSET || len > KEPT_BYTES)
		return -REASON_FRAGMENT_DROPPED;
	k = kept_claim(ring);
	if (!k)
		return -REASON_FRAGMENT_DROPPED;
	frag_key(p, &k->key);
	k->stamp = now_jiffies();
	k->ifindex = ctx->ifindex;
	if (!kept_load(ctx, k, len)) {
		kept_free(k, ring);
		return -REASON_FRAGMENT_DROPPED;
	}
	CAS(&k->turn, KEPT_BUSY, KEPT_READY);
	if (!frag_find(p))
		return -REASON_FRAGMENT;
	if (CAS(&k->turn, KEPT_READY, KEPT_BUSY) != KEPT_READY)
		return -REASON_FRAGMENT; /* the first has taken it along */
	kept_free(k, ring);
	return 0;
}

struct kept_walk {
	CTX *ctx;
	struct frag_key key;
	bool saved; /* the first fragment lies in kept_firsts */
	bool failed;
};

static __always_inline bool kept_is(const struct kept *k, const struct frag_key *key)
{
	return k->key.id == key->id && k->key.proto == key->proto && k->key.family == key->family &&
	       addr_equal(&k->key.saddr, &key->saddr) && addr_equal(&k->key.daddr, &key->daddr);
}

static __always_inline void kept_send(struct kept_walk *w, struct kept *k)
{
	__u32 zero = 0, len = w->ctx->len;
	struct kept *first = bpf_map_lookup_elem(&kept_firsts, &zero);

	if (!first)
		return;
	if (!w->saved) {
		/* a byte more makes the kernel forget a sum over the whole packet */
		if (len > KEPT_BYTES || !kept_load(w->ctx, first, len) ||
		    bpf_skb_change_tail(w->ctx, len + 1, 0))
			return;
		w->saved = true;
	}
	if (!kept_store(w->ctx, k) || bpf_clone_redirect(w->ctx, k->ifindex, BPF_F_INGRESS))
		count(REASON_FRAGMENT_LOST);
}

static long kept_step(__u32 i, struct kept_walk *w)
{
	struct kept *k = bpf_map_lookup_elem(&kept_frames, &i);
	struct kept_ring *ring = kept_ring();

	if (!k || !ring)
		return 1;
	if (READ_ONCE(k->turn) != KEPT_READY || !kept_is(k, &w->key) ||
	    CAS(&k->turn, KEPT_READY, KEPT_BUSY) != KEPT_READY)
		return 0;
	if (!kept_is(k, &w->key)) { /* another has been put there */
		CAS(&k->turn, KEPT_BUSY, KEPT_READY);
		return 0;
	}
	if (frag_fresh(k->stamp))
		kept_send(w, k);
	else
		count(REASON_FRAGMENT_LOST);
	kept_free(k, ring);
	return 0;
}

/* Lets what waits for this first fragment follow it: 1, or 0 if the packet could not
 * be put together again. */
__noinline int frag_follow(CTX *ctx, const struct pkt *p)
{
	struct kept_ring *ring = kept_ring();
	struct kept_walk w = {.ctx = ctx};
	struct kept *first;
	__u32 zero = 0;

	if (!p || !ring || !READ_ONCE(ring->waiting))
		return 1;
	frag_key(p, &w.key);
	bpf_loop(KEPT_FRAMES, kept_step, &w, 0);
	if (!w.saved)
		return 1;
	first = bpf_map_lookup_elem(&kept_firsts, &zero);
	return first && kept_store(ctx, first);
}
