/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The way of a packet: parse, filter, find the connection or make it, find the
 * next hop, step the state, translate, send. Functions return 0 or a negative
 * reason; director() is the one exit, which counts and tells the sender.
 */
#pragma once

#include "forward.h"
#include "look.h"
#include "read.h"

static __always_inline int packet_direct(CTX *ctx, struct work *w, int *verdict,
					 const __u8 family)
{
	struct settings *set = settings_get();
	struct pkt *p = &w->pkt;
	__u32 now;
	struct conn_ref ref;
	__u8 interest;
	bool reply;
	int rc;

	if (!set)
		return LEAVE;
	now = now_of(set);
	rc = packet_read(ctx, p, &interest, family);
	if (rc)
		return rc;
	rc = ports_read(ctx, p);
	if (rc)
		return rc;
	rc = conn_look(p, interest, now, &ref, &reply, family);
	if (rc)
		return rc;
	return conn_forward(ctx, w, &ref, reply, now, verdict, family);
}

static __always_inline int director(CTX *ctx, const __u8 family)
{
	struct work *w = work_get();
	int verdict = CTX_PASS, rc;

	if (!w)
		return CTX_PASS;
	rc = packet_direct(ctx, w, &verdict, family);
	if (rc == REASON_SLOW_PATH)
		count(REASON_SLOW_PATH);
	return rc < 0 ? ctx_refuse(ctx, w, -rc) : verdict;
}

/* Each family has a stack of its own. */
static __noinline int director4(CTX *ctx)
{
	return director(ctx, FAMILY_V4);
}

static __noinline int director6(CTX *ctx)
{
	return director(ctx, FAMILY_V6);
}

static __always_inline int packet_enter(CTX *ctx)
{
	struct ethhdr *eth = ctx_header(ctx, 0, sizeof(*eth));

	if (!eth || !ctx_is_ours(ctx, eth))
		return CTX_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		return director4(ctx);
	if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		return director6(ctx);
	return CTX_PASS;
}
