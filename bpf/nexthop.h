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

/* An answer of the routing table. */
struct way {
	__u32 index; /* + 1 of the next hop to remember, 0 none: not resolved */
	__u32 ifindex;
	__u32 gateway;
};

struct hop {
	struct nexthop *via; /* NULL: by gateway, through the kernel's neighbour table */
	__u32 ifindex;
	__u32 gateway;
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

/*
 * Asks the routing table for the way from src to dst. Negative: the reason why
 * there is none. A function of its own, as most packets need not ask and the
 * stack is small.
 */
__noinline int way_ask(CTX *ctx, const struct pkt *p, __u32 src, __u32 dst, struct way *w)
{
	struct bpf_fib_lookup fib = {
		.family = AF_INET,
		.ipv4_src = src,
		.ipv4_dst = dst,
		.ifindex = ctx_ifindex(ctx),
	};
	long rc;

	if (!p || !w)
		return -REASON_NO_ROUTE;
	fib.l4_protocol = p->proto;
	rc = bpf_fib_lookup(ctx, &fib, sizeof(fib), 0);
	w->index = 0;
	w->ifindex = fib.ifindex;
	w->gateway = fib.ipv4_dst;
	switch (rc) {
	case BPF_FIB_LKUP_RET_SUCCESS:
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
		w->index = nexthop_intern(&fib);
		return 0;
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		return 0;
	}
	return fib_reason(rc);
}

/* How large a packet the way from src to dst takes; 0 if there is none. Apart
 * from way_ask, as only packets to a server need it. */
__noinline __u32 way_mtu(CTX *ctx, const struct pkt *p, __u32 src, __u32 dst)
{
	struct bpf_fib_lookup fib = {
		.family = AF_INET,
		.tot_len = 0xffff, /* more than any way takes: the answer says what it does */
		.ipv4_src = src,
		.ipv4_dst = dst,
		.ifindex = ctx_ifindex(ctx),
	};

	if (!p)
		return 0;
	fib.l4_protocol = p->proto;
	if (bpf_fib_lookup(ctx, &fib, sizeof(fib), 0) != BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return 0;
	return fib.mtu_result;
}

static __always_inline void hop_follow(struct hop *hop, const struct way *w)
{
	hop->via = nexthop_get(w->index);
	hop->ifindex = w->ifindex;
	hop->gateway = w->gateway;
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

/* The way to the server of a connection. */
static __always_inline int hop_forward(CTX *ctx, const struct pkt *p, struct dst *d,
				       __u32 now, struct hop *hop)
{
	__u32 known = d->nexthop, stamp = d->nexthop_stamp;
	struct way w = {};
	int rc;

	hop->via = nexthop_get(known);
	if (hop->via &&
	    (now - stamp < conf_hz || CAS(&d->nexthop_stamp, stamp, now) != stamp)) {
		hop->ifindex = hop->via->ifindex;
		return 0;
	}
	rc = way_ask(ctx, p, p->saddr, d->addr.w[0], &w);
	d->nexthop_stamp = now;
	d->nexthop = rc ? 0 : w.index;
	d->mtu = rc ? 0 : way_mtu(ctx, p, p->saddr, d->addr.w[0]);
	hop_follow(hop, &w);
	/* Once a second a packet goes by the kernel's neighbour table, which so
	 * keeps the server's entry alive and notices when it moves. */
	if (!CTX_IS_XDP)
		hop->via = NULL;
	return rc;
}

/* The way back to the client. */
static __always_inline int hop_reply(CTX *ctx, const struct pkt *p, struct conn_ref *ref,
				     __u32 now, struct hop *hop)
{
	struct conn4 *c = ref->conn;
	struct way w = {};
	int rc;

	hop->via = nexthop_get(c->nexthop);
	if (hop->via && now - c->nexthop_stamp < conf_hz) {
		hop->ifindex = hop->via->ifindex;
		return 0;
	}
	rc = way_ask(ctx, p, c->vaddr, c->caddr, &w);
	if (life_read(c).gen == ref->life.gen) {
		c->nexthop = rc ? 0 : w.index;
		c->nexthop_stamp = now;
	}
	hop_follow(hop, &w);
	return rc;
}
