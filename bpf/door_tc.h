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

/* What is not resolved waits in the kernel's neighbour table. */
static __always_inline int ctx_send(CTX *ctx, const struct hop *hop)
{
	struct bpf_redir_neigh gateway = {.nh_family = AF_INET, .ipv4_nh = hop->gateway};

	if (hop->via)
		return bpf_redirect(hop->ifindex, 0);
	return bpf_redirect_neigh(hop->ifindex, &gateway, sizeof(gateway), 0);
}

/* Drops the packet, and tells its sender why where there is an error for it. A
 * function of its own for the verifier's sake. */
__noinline int ctx_refuse(CTX *ctx, struct pkt *p, int reason)
{
	__u8 type = icmp_type(reason);
	struct way w = {};
	struct hop hop = {};

	count(reason);
	if (!p)
		return CTX_DROP;
	/* like the kernel, which takes a hop off before it looks at the size */
	if (reason == REASON_TOO_BIG && (!p->whole || !ttl_decrement(ctx)))
		return CTX_DROP;
	if (!type || p->quote || p->later || /* not about an error, nor a later fragment */
	    !icmp_allowed() ||
	    way_ask(ctx, p, p->daddr, p->saddr, &w) ||
	    !icmp_make(ctx, p, type, icmp_code(reason)))
		return CTX_DROP;
	hop.ifindex = w.ifindex;
	hop.gateway = w.gateway;
	return ctx_send(ctx, &hop);
}
