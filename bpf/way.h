/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The ways of a connection's packets: to the server, and back to the client. */
#pragma once

#include "mtu.h"

/* A tunnel to a server that was out of reach when it was added begins, once there is a
 * way, at the address of the interface that leads there, as it would have. */
static __always_inline void source_learn(struct dst *d, __u32 ifindex)
{
	union addr *own;

	if (d->source.q[0] || d->source.q[1])
		return;
	own = link_addr(ifindex, d->family);
	if (own)
		d->source = *own;
}

/*
 * Asks for the way to a destination, w->route, and notes it there: 0, or a reason. From
 * a client of another family, the packet goes within one from the director. A function
 * of its own for the verifier's sake.
 */
__noinline int dst_route(CTX *ctx, struct work *w, __u32 dst)
{
	struct dst *d = dst_get(dst);
	int rc;

	if (!w || !d)
		return -REASON_NO_ROUTE;
	if (d->flags & DST_BYPASS) { /* each packet has a way of its own */
		route_onward(w);
		return route_ask(ctx);
	}
	w->route.family = d->family;
	w->route.dst = d->addr;
	w->route.src = d->family == w->pkt.family ? w->pkt.saddr : d->source;
	rc = route_ask(ctx);
	d->nexthop_stamp = now_jiffies();
	d->nexthop = rc ? 0 : w->route.index;
	d->mtu = rc ? 0 : path_mtu(ctx, d);
	if (!rc)
		source_learn(d, w->route.ifindex);
	return rc;
}

/* The way to the server of a connection. */
static __always_inline int hop_forward(CTX *ctx, struct work *w, const struct conn_ref *ref,
				       __u32 now, struct hop *hop)
{
	struct dst *d = ref->dst;
	__u32 known = d->nexthop, stamp = d->nexthop_stamp;
	int rc;

	hop->via = nexthop_get(known);
	if (hop->via &&
	    (now - stamp < conf_hz || CAS(&d->nexthop_stamp, stamp, now) != stamp)) {
		hop->ifindex = hop->via->ifindex;
		return 0;
	}
	rc = dst_route(ctx, w, ref->conn->dst);
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
