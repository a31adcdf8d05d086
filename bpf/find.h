/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Finding the connection of a packet, in its two buckets and the overflow region. */
#pragma once

#include "conn.h"
#include "packet.h"

/* 32 bits for an address: that of IPv4, of IPv6 a seeded digest, which strangers
 * cannot aim at. */
static __always_inline __u32 addr_digest(const union addr *a, const __u8 family)
{
	__u64 h;

	if (family == FAMILY_V4)
		return a->w[0];
	h = (a->q[0] ^ conf_seed[1]) * (conf_seed[0] | 1);
	h ^= h >> 32;
	h = (h + a->q[1]) * (conf_seed[1] | 1);
	return h >> 32;
}

static __always_inline void flow_forward(const struct pkt *p, struct flow *f, const __u8 family)
{
	f->key = flow_key(addr_digest(&p->saddr, family), p->sport, p->dport);
	f->vaddr = addr_digest(&p->daddr, family);
	f->rport = 0;
	f->proto = p->proto;
	f->reply = false;
}

static __always_inline void flow_reply(const struct pkt *p, struct flow *f, const __u8 family)
{
	f->key = flow_key(addr_digest(&p->daddr, family), p->dport, 0);
	f->vaddr = 0;
	f->rport = p->sport;
	f->proto = p->proto;
	f->reply = true;
}

/* Whether the slot's key is the packet's. */
static __always_inline bool slot_holds(struct bucket6 *b, int i, const struct flow *f,
				       const struct pkt *p, const __u8 family)
{
	struct conn *c = &b->slot[i];
	__u64 key = READ_ONCE(*conn_key(c));
	bool same;

	if (f->reply)
		same = ((key ^ f->key) & CLIENT_MASK) == 0 && c->proto == f->proto;
	else
		same = key == f->key && c->vaddr == f->vaddr && c->proto == f->proto;
	if (!same || family == FAMILY_V4)
		return same;
	if (f->reply)
		return addr_equal(&b->ends[i].caddr, &p->daddr);
	return addr_equal(&b->ends[i].caddr, &p->saddr) &&
	       addr_equal(&b->ends[i].vaddr, &p->daddr);
}

/* The port that the server sees. */
static __always_inline __u16 server_port(const struct conn *c, union life l, const struct dst *d)
{
	return d->port && !(l.flags & CONN_SAME_PORT) ? d->port : c->vport;
}

/* Whether the slot's connection is one of other methods, whose server answers as the
 * VIP. Most such answers go by without us. */
static __always_inline bool slot_is_self(struct bucket6 *b, int i, const struct flow *f,
					 const struct pkt *p, const __u8 family)
{
	if (p->quote || b->slot[i].vport != f->rport)
		return false;
	if (family == FAMILY_V4)
		return b->slot[i].vaddr == p->saddr.w[0];
	return addr_equal(&b->ends[i].vaddr, &p->saddr);
}

/* Whether the sender of a reply is the server of the slot. */
static __always_inline bool slot_answers(struct bucket6 *b, int i, union life l,
					 const struct dst *d, const struct flow *f,
					 const struct pkt *p, const __u8 family)
{
	if (life_method(l) != METHOD_MASQ)
		return slot_is_self(b, i, f, p, family);
	return (family == FAMILY_V4 ? d->addr.w[0] == p->saddr.w[0]
				    : addr_equal(&d->addr, &p->saddr)) &&
	       server_port(&b->slot[i], l, d) == f->rport;
}

/* Whether what has run out is a template that holds connections. */
static __always_inline bool template_stays(const struct conn *c, union life l)
{
	return c->proto & TEMPLATE && (l.flags & CONN_RETIRED) == CONN_LIVE &&
	       READ_ONCE(c->nexthop_stamp);
}

/* Whether the slot is this packet's connection; fills ref if so. */
static __always_inline bool slot_match(struct bucket6 *b, int i, const struct flow *f,
				       const struct pkt *p, __u32 now, struct conn_ref *ref,
				       const __u8 family)
{
	struct conn *c = &b->slot[i];
	struct dst *d;
	union life l;

	if (!slot_holds(b, i, f, p, family))
		return false;
	l = life_read(c);
	if (!life_valid(l, now) && !template_stays(c, l))
		return false;
	d = dst_get(c->dst);
	if (!d || (f->reply && !slot_answers(b, i, l, d, f, p, family)))
		return false;
	ref->conn = c;
	ref->dst = d;
	ref->ends = family == FAMILY_V6 ? &b->ends[i] : NULL;
	ref->life = l;
	return true;
}

/* The place of the connection in a bucket, or -1; fills ref. */
static __always_inline int bucket_find(struct bucket6 *b, const struct flow *f,
				       const struct pkt *p, __u32 now, struct conn_ref *ref,
				       const __u8 family)
{
#pragma unroll
	for (int i = 0; i < SLOTS_PER_BUCKET; i++)
		if (slot_match(b, i, f, p, now, ref, family))
			return i;
	return -1;
}

#define NO_SLOT 0xffffffff /* lies beyond every table */

/* The number in the table of a connection's slot, or NO_SLOT. */
static __always_inline __u32 bucket_seek(__u32 bucket, const struct flow *f,
					 const struct pkt *p, __u32 now, const __u8 family)
{
	struct bucket6 *b = bucket_get(bucket, family);
	struct conn_ref ref;
	int i = b ? bucket_find(b, f, p, now, &ref, family) : -1;

	return i < 0 ? NO_SLOT : bucket * SLOTS_PER_BUCKET + i;
}

/* The i-th bucket of a group's run; the runs begin all over the region. */
static __always_inline __u32 overflow_bucket(__u32 group, __u32 i, const __u8 family)
{
	__u32 base = (__u64)group * overflow_count(family) / OVERFLOW_HINTS;

	return bucket_count(family) + ((base + i) & (overflow_count(family) - 1));
}

/* The buckets of a client one after the other, the two choices first. */
static __always_inline __u32 client_bucket(__u64 hash, __u32 i, const __u8 family)
{
	if (i == 0)
		return bucket_first(hash, family);
	if (i == 1)
		return bucket_second(hash, family);
	return overflow_bucket(overflow_group(hash, family), i - 2, family);
}

struct overflow_walk {
	struct flow flow;
	const struct pkt *pkt;
	__u32 group;
	__u32 now;
	__u32 slot;
};

static long overflow_seek4(__u32 i, struct overflow_walk *w)
{
	w->slot = bucket_seek(overflow_bucket(w->group, i, FAMILY_V4), &w->flow, w->pkt, w->now,
			      FAMILY_V4);
	return w->slot != NO_SLOT;
}

static long overflow_seek6(__u32 i, struct overflow_walk *w)
{
	w->slot = bucket_seek(overflow_bucket(w->group, i, FAMILY_V6), &w->flow, w->pkt, w->now,
			      FAMILY_V6);
	return w->slot != NO_SLOT;
}

static __always_inline __u32 overflow_seek(const struct flow *f, const struct pkt *p, __u64 hash,
					   __u32 now, const __u8 family)
{
	__u32 group = overflow_group(hash, family);
	__u32 *hint = bpf_map_lookup_elem(&overflow_hints, &group);
	struct overflow_walk w = {
		.flow = *f, .pkt = p, .group = group, .now = now, .slot = NO_SLOT,
	};

	if (hint && READ_ONCE(*hint))
		bpf_loop(OVERFLOW_RUN, family == FAMILY_V6 ? overflow_seek6 : overflow_seek4, &w, 0);
	return w.slot;
}

static __always_inline __u32 seek(const struct flow *f, const struct pkt *p, __u64 hash,
				  __u32 now, const __u8 family)
{
	__u32 slot = bucket_seek(bucket_first(hash, family), f, p, now, family);

	if (slot == NO_SLOT)
		slot = bucket_seek(bucket_second(hash, family), f, p, now, family);
	return slot == NO_SLOT ? overflow_seek(f, p, hash, now, family) : slot;
}

/*
 * Looks for a connection in all places: the number of its slot or NO_SLOT. Each
 * a function of its own to the verifier too, which otherwise follows each slot to
 * the end of the program.
 */
__noinline __u32 conn_seek4(const struct flow *f, const struct pkt *p, __u64 hash, __u32 now)
{
	return f && p ? seek(f, p, hash, now, FAMILY_V4) : NO_SLOT;
}

__noinline __u32 conn_seek6(const struct flow *f, const struct pkt *p, __u64 hash, __u32 now)
{
	return f && p ? seek(f, p, hash, now, FAMILY_V6) : NO_SLOT;
}

static __always_inline __u32 conn_seek(const struct flow *f, const struct pkt *p, __u64 hash,
				       __u32 now, const __u8 family)
{
	return family == FAMILY_V6 ? conn_seek6(f, p, hash, now) : conn_seek4(f, p, hash, now);
}

/* Fills ref from a slot's number; looks again, as the slot may have changed. */
static __always_inline bool conn_open(__u32 slot, const struct flow *f, const struct pkt *p,
				      __u32 now, struct conn_ref *ref, const __u8 family)
{
	struct bucket6 *b = bucket_get(slot / SLOTS_PER_BUCKET, family);

	return b && slot_match(b, slot % SLOTS_PER_BUCKET, f, p, now, ref, family);
}

/*
 * The number i, which the verifier cannot know, as memory may have changed: so
 * it follows one slot to the end of the program, not each of them.
 */
volatile __u8 slot_numbers[SLOTS_PER_BUCKET] = {0, 1, 2, 3};

static __always_inline __u32 any_slot(__u32 i)
{
	return slot_numbers[i % SLOTS_PER_BUCKET] % SLOTS_PER_BUCKET;
}

/* Finds the connection of a packet: most sit in their first bucket. */
static __always_inline bool conn_find(const struct flow *f, const struct pkt *p, __u64 hash,
				      __u32 now, struct conn_ref *ref, const __u8 family)
{
	struct bucket6 *b = bucket_get(bucket_first(hash, family), family);
	int i = b ? bucket_find(b, f, p, now, ref, family) : -1;

	if (i >= 0) {
		__u32 slot = any_slot(i);

		ref->conn = &b->slot[slot];
		if (family == FAMILY_V6)
			ref->ends = &b->ends[slot];
		return true;
	}
	return conn_open(conn_seek(f, p, hash, now, family), f, p, now, ref, family);
}
