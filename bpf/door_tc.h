/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* How a packet leaves by tc: sent, with the kernel resolving what is not
 * resolved, or refused. */
#pragma once

#include "ctx_tc.h"
#include "fwd/direct.h"
#include "icmp.h"
#include "nexthop.h"

static __always_inline bool ctx_can_reach(CTX *ctx, const struct hop *hop)
{
	return true;
}

/* Has the kernel resolve the next hop: what is not resolved waits in its neighbour
 * table. A function of its own, whose stack is free again for the rest. */
static __noinline int neighbour_send(__u32 ifindex, const struct route *r)
{
	struct bpf_redir_neigh gateway = {};

	gateway.nh_family = r->gw_family == FAMILY_V6 ? AF_INET6 : AF_INET;
	*(union addr *)gateway.ipv6_nh = r->gateway;
	return bpf_redirect_neigh(ifindex, &gateway, sizeof(gateway), 0);
}

static __always_inline int ctx_send(CTX *ctx, const struct hop *hop, const struct route *r)
{
	if (hop->via)
		return bpf_redirect(hop->ifindex, 0);
	return neighbour_send(hop->ifindex, r);
}

/* The traffic control index, which little else uses, of a packet of the host that
 * has been looked at, as it leaves by another interface than it began to. */
#define SIGNATURE 0xe5e5

static __always_inline void ctx_sign(CTX *ctx)
{
	ctx->tc_index = SIGNATURE;
}

static __always_inline bool ctx_is_signed(CTX *ctx)
{
	return ctx->tc_index == SIGNATURE;
}

/* Hands the packet to the host by its loopback, with a route of the host's own: by
 * another interface, a source that is its own address would have it dropped. */
static __always_inline int ctx_deliver(CTX *ctx)
{
	return bpf_redirect_neigh(LOOPBACK, NULL, 0, 0);
}

/* Whether the sender of a packet is to be told why it is dropped. */
static __always_inline bool refusal_told(CTX *ctx, const struct pkt *p, int reason)
{
	/* not about an error, nor a later fragment */
	if (!icmp_errors[reason & REASON_MASK].type || p->quote || p->bare)
		return false;
	if (reason == REASON_TOO_BIG && !p->whole)
		return false;
	/* like the kernel, which takes a hop off before it looks */
	if ((reason == REASON_TOO_BIG || reason == REASON_NO_CONNECTION) &&
	    !ttl_decrement(ctx, p->family))
		return false;
	return icmp_allowed();
}

/* Drops the packet, and tells its sender why where there is an error for it. A
 * function of its own for the verifier's sake. */
static __noinline int ctx_refuse(CTX *ctx, struct work *w, int reason)
{
	struct pkt *p = &w->pkt;
	struct hop hop = {};

	count(reason);
	if (!refusal_told(ctx, p, reason))
		return CTX_DROP;
	if (p->home)
		return icmp_make(ctx, p, reason) ? ctx_deliver(ctx) : CTX_DROP;
	w->route.family = p->family;
	w->route.src = p->daddr;
	w->route.dst = p->saddr;
	if (route_ask(ctx) || !icmp_make(ctx, p, reason))
		return CTX_DROP;
	hop.ifindex = w->route.ifindex;
	return ctx_send(ctx, &hop, &w->route);
}
