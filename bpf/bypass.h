/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * cache_bypass: a firewall-mark service stands in the way of packets to addresses that
 * are others', as of a cluster of transparent caches. When none of its destinations can
 * take a new connection, this goes on to where it was sent. The connection's
 * destination is a slot that stands for all there is, one for each family: it has no
 * address, so the packet keeps its own, and asks for its way by it (way.h).
 */
#pragma once

#include "conn.h"
#include "making.h"
#include "nexthop.h"

/* Whether the address that a packet was sent to is not one to send to: the host's, or
 * that of many. 1 or 0; a function of its own for the verifier's sake. */
__noinline int packet_is_home(CTX *ctx)
{
	struct work *w = work_get();

	if (!w)
		return 1;
	route_onward(w);
	return route_lookup(ctx, w, 0) == BPF_FIB_LKUP_RET_NOT_FWDED;
}

/* Left to tc, which tells whom it cannot help. */
static __always_inline bool bypass_wanted(CTX *ctx, const struct pkt *p, const struct service *s,
					  const struct settings *set)
{
	return !CTX_IS_XDP && set->sysctl[SYSCTL_CACHE_BYPASS] && s->key.fwmark && !p->quote &&
	       !packet_is_home(ctx);
}

/* Chooses it: 0, or what becomes of the packet. */
static __always_inline int bypass_choose(struct choice *c, const __u8 family)
{
	__u32 slot = family == FAMILY_V6 ? BYPASS_DST6 : BYPASS_DST4;
	struct dst *d = dst_get(slot);

	if (!d)
		return -REASON_NO_DESTINATION;
	d->family = family; /* always the same, so it does not matter who writes it */
	d->flags = DST_BYPASS;
	c->dst = slot;
	c->method = METHOD_MASQ; /* which has both directions' states, as in IPVS */
	c->control = 0;
	c->flags = 0;
	count(REASON_BYPASSED);
	return 0;
}
