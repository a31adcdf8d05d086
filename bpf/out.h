/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What the host sends. A client on the director is served as one elsewhere; and
 * where the director is itself a masqueraded real server, its answers get the VIP's
 * address on their way out. What came in by an interface has been looked at there.
 */
#pragma once

#include "director.h"

static __noinline int depart4(CTX *ctx)
{
	return director(ctx, FAMILY_V4, true);
}

static __noinline int depart6(CTX *ctx)
{
	return director(ctx, FAMILY_V6, true);
}

static __always_inline int packet_leave(CTX *ctx)
{
	if (ctx->ingress_ifindex || ctx_is_signed(ctx))
		return CTX_PASS;
	if (ctx->protocol == bpf_htons(ETH_P_IP))
		return verdict_follow(ctx, depart4(ctx), FOLLOWER_OUT);
	if (ctx->protocol == bpf_htons(ETH_P_IPV6))
		return verdict_follow(ctx, depart6(ctx), FOLLOWER_OUT);
	return CTX_PASS;
}
