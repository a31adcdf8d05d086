/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The ways of a connection's packets: to the server, and back to the client. */
#pragma once

#include "mtu.h"

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
	d->mtu = rc ? 0 : path_mtu(ctx, d);
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
