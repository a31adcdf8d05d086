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

static __always_inline void route_from(struct route *r, const union addr *src, const __u8 family)
{
	if (family == FAMILY_V6)
		r->src = *src;
	else
		r->src.w[0] = src->w[0];
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

/* How large a packet the way of w->route takes; 0 if there is none. Apart from
 * route_ask, as only packets to a server need it. */
__noinline __u32 route_mtu(CTX *ctx)
{
	struct work *w = work_get();

	if (!w || route_lookup(ctx, w, 0xffff) != BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return 0;
	return w->fib.mtu_result;
}

static __always_inline void hop_follow(struct hop *hop, const struct route *r)
{
	hop->via = nexthop_get(r->index);
	hop->ifindex = r->ifindex;
}

#define MTU_ALWAYS 576 /* what every way takes (RFC 791) */

/* Whether a packet of len bytes is too large for the way; mtu is what the route
 * takes, 0 unknown, and becomes what it was too large for. */
static __always_inline bool hop_too_big(CTX *ctx, const struct hop *hop, __u32 len, __u32 *mtu)
{
	__u32 device = 0;

	if (len <= MTU_ALWAYS || ctx_is_cut_later(ctx))
		return false;
	/* without a length to check, the helper says what the device takes */
	if (bpf_check_mtu(ctx, hop->ifindex, &device, 0, 0) >= 0 && (!*mtu || device < *mtu))
		*mtu = device;
	return *mtu && len > *mtu;
}

/* The way to the server of a connection. From a client of another family, the
 * packet goes within one from the director. */
static __always_inline int hop_forward(CTX *ctx, struct work *w, struct dst *d, __u32 now,
				       struct hop *hop, const __u8 family)
{
	__u32 known = d->nexthop, stamp = d->nexthop_stamp;
	int rc;

	hop->via = nexthop_get(known);
	if (hop->via &&
	    (now - stamp < conf_hz || CAS(&d->nexthop_stamp, stamp, now) != stamp)) {
		hop->ifindex = hop->via->ifindex;
		return 0;
	}
	w->route.family = d->family;
	w->route.dst = d->addr;
	if (d->family == family)
		route_from(&w->route, &w->pkt.saddr, family);
	else
		w->route.src = d->source;
	rc = route_ask(ctx);
	d->nexthop_stamp = now;
	d->nexthop = rc ? 0 : w->route.index;
	d->mtu = rc ? 0 : route_mtu(ctx);
	hop_follow(hop, &w->route);
	/* Once a second a packet goes by the kernel's neighbour table, which so
	 * keeps the server's entry alive and notices when it moves. */
	if (!CTX_IS_XDP)
		hop->via = NULL;
	return rc;
}

/* The way back to the client. */
static __always_inline int hop_reply(CTX *ctx, struct work *w, struct conn_ref *ref, __u32 now,
				     struct hop *hop, const __u8 family)
{
	struct conn *c = ref->conn;
	int rc;

	hop->via = nexthop_get(c->nexthop);
	if (hop->via && now - c->nexthop_stamp < conf_hz) {
		hop->ifindex = hop->via->ifindex;
		return 0;
	}
	if (family == FAMILY_V6)
		w->route.src = ref->ends->vaddr;
	else
		w->route.src.w[0] = c->vaddr;
	route_to(&w->route, &w->pkt.daddr, family);
	rc = route_ask(ctx);
	if (life_read(c).gen == ref->life.gen) {
		c->nexthop = rc ? 0 : w->route.index;
		c->nexthop_stamp = now;
	}
	hop_follow(hop, &w->route);
	return rc;
}
