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
 *    adjusts dst.active, dst.inactive and flood.half_open, so each transition is
 *    counted once.
 * A look-up on a weakly ordered CPU may still read a key from before a LIVE it
 * saw; it then misses, and the birth, under the lock, finds the slot.
 *
 * Families differ in where their buckets are and in how their addresses are
 * compared: all of an IPv4 address is in the slot's key, of an IPv6 address a
 * digest, and the address itself beside it.
 */
#pragma once

#include "limits.h"

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

static __always_inline __u64 *conn_key(struct conn *c)
{
	return (__u64 *)&c->caddr;
}

/* A connection at hand: its life is what it was when it was found. */
struct conn_ref {
	struct conn *conn;
	struct dst *dst;
	struct conn_ends *ends; /* IPv6 */
	union life life;
};

static __always_inline __u64 *conn_life(struct conn *c)
{
	return (__u64 *)c;
}

static __always_inline union life life_read(struct conn *c)
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

static __always_inline __u32 bucket_count(const __u8 family)
{
	return family == FAMILY_V6 ? conf_buckets6 : conf_buckets4;
}

static __always_inline __u32 overflow_count(const __u8 family)
{
	return family == FAMILY_V6 ? conf_overflow6 : conf_overflow4;
}

/* The two buckets of a client, by the halves of its hash. */
static __always_inline __u32 bucket_first(__u64 hash, const __u8 family)
{
	return hash & (bucket_count(family) - 1);
}

static __always_inline __u32 bucket_second(__u64 hash, const __u8 family)
{
	return (hash >> 32) & (bucket_count(family) - 1);
}

static __always_inline __u32 overflow_group(__u64 hash, const __u8 family)
{
	return bucket_first(hash, family) & (OVERFLOW_HINTS - 1);
}

/* The hash of who a connection or template in a slot belongs to. */
static __always_inline __u64 conn_hash(struct conn *c)
{
	struct flow f = {.key = *conn_key(c), .proto = c->proto};

	return client_hash(&f);
}

/* The lock under which connections of a client are born. */
static __always_inline struct birth_lock *birth_lock_get(__u64 hash)
{
	__u32 index = (hash >> 16) & (BIRTH_LOCKS - 1);

	return bpf_map_lookup_elem(&birth_locks, &index);
}

static __always_inline bool life_valid(union life l, __u32 now)
{
	return (l.flags & CONN_RETIRED) == CONN_LIVE && (__s32)(now - l.expires) < 0;
}

/* Lives, but only until somebody ends it. */
static __always_inline bool life_over(union life l, __u32 now)
{
	return (l.flags & CONN_LIVE) && (__s32)(now - l.expires) >= 0;
}

/* A bucket of the family's table. Only the slots are there for both: the ends are
 * for who knows that it is IPv6. */
static __always_inline struct bucket6 *bucket_get(__u32 index, const __u8 family)
{
	if (family == FAMILY_V6)
		return bpf_map_lookup_elem(&conns6, &index);
	return bpf_map_lookup_elem(&conns4, &index);
}

static __always_inline enum method life_method(union life l)
{
	return l.flags / CONN_METHOD & 3;
}

/* States in which only one end has spoken, of a connection, or of none yet: what
 * spoofed packets make. */
#define HALF_OPEN_STATES                                                       \
	(1 << STATE_NONE | 1 << STATE_SYN_RECV | 1 << STATE_SYNACK |            \
	 1 << STATE_SCTP_INIT1 | 1 << STATE_SCTP_INIT |                         \
	 1 << STATE_SCTP_COOKIE_SENT | 1 << STATE_SCTP_COOKIE_REPLIED |         \
	 1 << STATE_SCTP_COOKIE_WAIT | 1 << STATE_SCTP_COOKIE |                 \
	 1 << STATE_SCTP_COOKIE_ECHOED)

static __always_inline bool life_half_open(union life l)
{
	return HALF_OPEN_STATES >> (l.state & STATE_MASK) & 1;
}

static __always_inline struct flood *flood_get(const __u8 family)
{
	__u32 index = family == FAMILY_V6;

	return bpf_map_lookup_elem(&floods, &index);
}

/* Counts a connection that is now half-open, or no more: see flood.h. */
static __always_inline void half_count(union life l, int by, const __u8 family)
{
	struct flood *f = flood_get(family);

	if (f && life_half_open(l))
		__sync_fetch_and_add(&f->half_open, by);
}

/* Whether it was ended by an operator, and its segments become resets. */
static __always_inline bool life_resets(union life l)
{
	__u8 state = l.state & STATE_MASK;

	return state >= STATE_RESET && state <= STATE_RESET_BOTH;
}

static __always_inline void dst_count(struct dst *d, __u8 flags, int by)
{
	if (flags & CONN_INACTIVE)
		__sync_fetch_and_add(&d->inactive, by);
	else
		__sync_fetch_and_add(&d->active, by);
}

/* Takes a connection or template that has ended out of all counts. */
static __always_inline void conn_uncount(struct dst *d, __u32 dst, __u8 proto, union life l,
					 __u32 group, const __u8 family)
{
	__u32 *hint;

	if (proto & TEMPLATE) {
		__sync_fetch_and_add(&d->persistent, -1);
	} else {
		dst_count(d, l.flags, -1);
		half_count(l, -1, family);
	}
	dst_left(dst, d);
	if (l.flags & CONN_OVERFLOW) {
		hint = bpf_map_lookup_elem(&overflow_hints, &group);
		if (hint)
			__sync_fetch_and_add(hint, -1);
	}
}

/* Ends a connection whose life was l; it still counts. False if another CPU was
 * first. */
static __always_inline bool conn_end(struct conn *c, union life l)
{
	union life dead = {.gen = l.gen};

	return CAS(conn_life(c), l.word, dead.word) == l.word;
}
