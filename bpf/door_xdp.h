/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* How a packet leaves by XDP: sent where that can be done here, or left to tc. */
#pragma once

#include "ctx_xdp.h"
#include "leave.h"
#include "nexthop.h"

/* A frame can be sent where the next hop is resolved and the interface takes
 * redirected frames; tc does the rest. */
static __always_inline bool ctx_can_reach(CTX *ctx, const struct hop *hop)
{
	__u32 place = hop->ifindex & (XDP_PLACES - 1);
	__u64 *port;

	if (!hop->via)
		return false;
	/* where a frame came in by this program, one can go out */
	if (hop->ifindex == ctx_ifindex(ctx))
		return true;
	port = bpf_map_lookup_elem(&xdp_places, &place);
	return (port && *port == hop->ifindex) || bpf_map_lookup_elem(&xdp_ports, &hop->ifindex);
}

static __always_inline int ctx_send(CTX *ctx, const struct hop *hop, const struct route *r)
{
	return bpf_redirect(hop->ifindex, 0);
}

/* tc does what follows, and gets such packets (ports_read, hop_find). */
static __always_inline int ctx_inside(CTX *ctx, struct work *w, int *verdict, const __u8 family)
{
	return LEAVE;
}

static __always_inline int ctx_fragment(CTX *ctx, struct pkt *p)
{
	return REASON_SLOW_PATH;
}

static __always_inline bool ctx_atomic(CTX *ctx, struct pkt *p, bool outer6)
{
	return false;
}

static __always_inline bool ctx_cut(CTX *ctx, __u32 mtu, __u32 ifindex)
{
	return false;
}

static __always_inline int ctx_cut_first(CTX *ctx, __u32 mtu, int *verdict)
{
	return REASON_SLOW_PATH;
}

/* What the host sends does not come by here. */
static __always_inline void ctx_sign(CTX *ctx)
{
}

/* The host gets from tc what is for it. */
static __always_inline int ctx_deliver(CTX *ctx)
{
	return CTX_PASS;
}

/* Drops the packet; but who is owed an error or a reset gets it from tc. */
static __always_inline int ctx_refuse(CTX *ctx, struct work *w, int reason)
{
	switch (reason) {
	case REASON_NO_DESTINATION:
	case REASON_NO_CONNECTION:
	case REASON_NO_ROUTE:
	case REASON_TOO_BIG:
	case REASON_TTL_EXCEEDED:
	case REASON_RESET:
		count(REASON_SLOW_PATH);
		return CTX_PASS;
	}
	count(reason);
	return CTX_DROP;
}
