/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * A tunnel's checksum is that of one packet. What tc sees may stand for several:
 * it is cut to size on its way out, and the kernel makes the outer checksum anew for
 * each piece only if the tunnel is one of its own, which no helper can pretend. So it
 * is cut before it is wrapped: it goes out of one end of a pair of interfaces that
 * takes nothing larger than the wire's, and comes in by the other as the packets it
 * stands for. User space makes the pair with the first destination that needs it.
 */
#pragma once

#include "fwd/tunnel.h"
#include "leave.h"

/* The address of the end that packets come in by; user space gives it to it. */
static const __u8 cut_mac[ETH_ALEN] = {0x02, 0x45, 0x56, 0x53, 0x63, 0x02};

static __always_inline bool segments_needed(CTX *ctx, const struct conn_ref *ref)
{
	return ctx_is_cut_later(ctx) && life_method(ref->life) == METHOD_TUNNEL &&
	       encap_checks(ref->dst);
}

/* Has the packet cut: the verdict, or the reason why it cannot be, negative. A function
 * of its own, whose stack is free again for the rest. */
static __noinline int segments_send(CTX *ctx, const struct settings *set)
{
	struct ethhdr *eth = ctx_header(ctx, 0, sizeof(*eth));

	if (!set->cut_out || ctx_ifindex(ctx) == set->cut_in || !eth)
		return -REASON_UNCUT;
	__builtin_memcpy(eth->h_dest, cut_mac, sizeof(cut_mac));
	return bpf_redirect(set->cut_out, 0);
}
