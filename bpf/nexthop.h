/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Where a packet goes next. The answer of the routing table is kept, per
 * destination for packets to a server and per connection for replies, for a
 * second at most; so a new route or a neighbour's new address is followed
 * within that time. Neighbours are the kernel's business: what is not resolved
 * goes through it.
 */
#pragma once

#include "conn.h"
#include "pkt.h"

#define NEXTHOP_PROBES 8

/* The way of a packet out of the director. */
struct hop {
	struct nexthop *via; /* NULL: by the route's gateway, through the kernel's neighbour table */
	__u32 ifindex;
};

static __always_inline struct nexthop *nexthop_get(__u32 index_plus_1)
{
	__u32 index = index_plus_1 - 1;

	if (!index_plus_1)
		return NULL;
	return bpf_map_lookup_elem(&nexthops, &index);
}

/* An address of an interface. */
static __always_inline union addr *link_addr(__u32 ifindex, const __u8 family)
{
	__u64 key = (__u64)family << 32 | ifindex;

	return bpf_map_lookup_elem(&link_addrs, &key);
}

/* Whether the entry is that of the answer. */
static __always_inline bool nexthop_is(const struct nexthop *n, const struct bpf_fib_lookup *fib)
{
	__u32 differ = n->ifindex ^ fib->ifindex;

	for (int i = 0; i < 6; i++)
		differ |= (n->dmac[i] ^ fib->dmac[i]) | (n->smac[i] ^ fib->smac[i]);
	return !differ;
}

/* Claims a free entry and fills it. False if another CPU was first. */
static __always_inline bool nexthop_claim(struct nexthop *n, const struct bpf_fib_lookup *fib)
{
	if (CAS(&n->ifindex, 0, NEXTHOP_BUSY) != 0)
		return false;
	__builtin_memcpy(n->dmac, fib->dmac, 6);
	__builtin_memcpy(n->smac, fib->smac, 6);
	CAS(&n->ifindex, NEXTHOP_BUSY, fib->ifindex);
	return true;
}

/*
 * The index + 1 of the entry for an answer of the routing table; 0 if the
 * neighbourhood of its hash is full: such a hop is looked up for each packet. A
 * function of its own for the verifier's sake.
 */
__noinline __u32 nexthop_intern(const struct bpf_fib_lookup *fib)
{
	__u32 hash;

	if (!fib)
		return 0;
	hash = *(__u32 *)&fib->dmac[2] * 0x9e3779b1 + fib->ifindex * 0x85ebca6b;
	for (int i = 0; i < NEXTHOP_PROBES; i++) {
		__u32 index = ((hash >> 12) + i) & (MAX_NEXTHOPS - 1);
		struct nexthop *n = bpf_map_lookup_elem(&nexthops, &index);

		if (!n)
			return 0;
		if (!READ_ONCE(n->ifindex) && !nexthop_claim(n, fib))
			continue;
		if (nexthop_is(n, fib))
			return index + 1;
	}
	return 0;
}

static __always_inline int fib_reason(long rc)
{
	return rc == BPF_FIB_LKUP_RET_FWD_DISABLED ? -REASON_FORWARDING_DISABLED
						    : -REASON_NO_ROUTE;
}

/* Begins a question: the way to an address of a family. */
static __always_inline void route_to(struct route *r, const union addr *dst, const __u8 family)
{
	r->family = family;
	if (family == FAMILY_V6)
		r->dst = *dst;
	else
		r->dst.w[0] = dst->w[0];
}

/* Begins the question of where a packet would go if it were not for us. A mark may be
 * what led it here. */
static __always_inline void route_onward(struct work *w)
{
	w->pkt.mark = 0;
	w->route.family = w->pkt.family;
	w->route.src = w->pkt.saddr;
	w->route.dst = w->pkt.daddr;
}

#define FIB_LOOKUP_MARK (1 << 5) /* BPF_FIB_LOOKUP_MARK of Linux 6.10; others refuse it */
#define EINVAL 22

/* Puts the question to the routing table. len 0xffff, more than any way takes,
 * asks how much it does take. */
static __always_inline long route_lookup(CTX *ctx, struct work *w, __u16 len)
{
	struct bpf_fib_lookup *fib = &w->fib;
	struct route *r = &w->route;
	long rc;

	__builtin_memset(fib, 0, sizeof(*fib));
	fib->l4_protocol = w->pkt.proto;
	fib->tot_len = len;
	fib->ifindex = ctx_ifindex(ctx);
	if (r->family == FAMILY_V6) {
		fib->family = AF_INET6;
		*(union addr *)fib->ipv6_src = r->src;
		*(union addr *)fib->ipv6_dst = r->dst;
	} else {
		fib->family = AF_INET;
		fib->ipv4_src = r->src.w[0];
		fib->ipv4_dst = r->dst.w[0];
	}
	if (w->pkt.mark) {
		*(__u32 *)fib->smac = w->pkt.mark; /* where the question has it */
		rc = bpf_fib_lookup(ctx, fib, sizeof(*fib), FIB_LOOKUP_MARK);
		if (rc != -EINVAL)
			return rc;
	}
	return bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
}

/*
 * Asks the routing table for the way of w->route. Negative: the reason why there
 * is none. A function of its own, as most packets need not ask.
 */
__noinline int route_ask(CTX *ctx)
{
	struct work *w = work_get();
	struct route *r;
	long rc;

	if (!w)
		return -REASON_NO_ROUTE;
	r = &w->route;
	rc = route_lookup(ctx, w, 0);
	r->index = 0;
	r->by_packet = false;
	r->ifindex = w->fib.ifindex;
	/* a way over IPv4 may have a gateway of IPv6 (RFC 8950) */
	r->gw_family = w->fib.family == AF_INET6 ? FAMILY_V6 : FAMILY_V4;
	r->gateway = *(union addr *)w->fib.ipv6_dst;
	switch (rc) {
	case BPF_FIB_LKUP_RET_SUCCESS:
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
		r->index = nexthop_intern(&w->fib);
		return 0;
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		return 0;
	}
	return fib_reason(rc);
}

static __always_inline void hop_follow(struct hop *hop, const struct route *r)
{
	hop->via = nexthop_get(r->index);
	hop->ifindex = r->ifindex;
}

/* Where a packet cannot go by the kernel's neighbour table: by what the route's answer
 * said, if that was resolved. */
static __always_inline void hop_settle(struct hop *hop, const struct route *r)
{
	if (!hop->via)
		hop->via = nexthop_get(r->index);
}
