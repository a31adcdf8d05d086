/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What the host sends: where the director is itself a masqueraded real server, its
 * answers get the VIP's address on their way out. What came in by an interface has
 * been looked at there.
 */
#pragma once

#include "director.h"

static __always_inline int packet_answer(CTX *ctx, struct work *w, const __u8 family)
{
	struct settings *set = settings_get();
	struct pkt *p = &w->pkt;
	__u32 now = now_jiffies();
	int verdict = CTX_PASS, rc;
	struct conn_ref ref;
	struct flow f;
	__u8 interest;

	if (packet_read(ctx, p, &interest, family) || !(interest & FILTER_RIP) ||
	    ports_read(ctx, p) || !set)
		return CTX_PASS;
	flow_reply(p, &f, family);
	if (!conn_find(&f, p, client_hash(&f), now, &ref, family) ||
	    !(ref.dst->flags & DST_LOCAL))
		return CTX_PASS;
	rc = conn_forward(ctx, w, &ref, true, now, &verdict, family);
	if (rc >= 0)
		return verdict;
	count(-rc);
	return CTX_DROP;
}

static __noinline int answer4(CTX *ctx, struct work *w)
{
	return packet_answer(ctx, w, FAMILY_V4);
}

static __noinline int answer6(CTX *ctx, struct work *w)
{
	return packet_answer(ctx, w, FAMILY_V6);
}

static __always_inline int packet_leave(CTX *ctx)
{
	struct work *w;

	if (ctx->ingress_ifindex)
		return CTX_PASS;
	w = work_get();
	if (w && ctx->protocol == bpf_htons(ETH_P_IP))
		return answer4(ctx, w);
	if (w && ctx->protocol == bpf_htons(ETH_P_IPV6))
		return answer6(ctx, w);
	return CTX_PASS;
}
