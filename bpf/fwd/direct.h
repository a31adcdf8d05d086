/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Direct routing: the packet goes to the server as it is, VIP and all, and only
 * the frame is addressed to it. The server answers the client itself.
 */
#pragma once

#include "../csum.h"
#include "../pkt.h"

/* One hop less to live; the checksum of IPv4 follows. */
static __always_inline void ip4_hop(struct iphdr *ip)
{
	/* The TTL is the high byte of its word: one less is 0x0100 less. */
	ip->ttl--;
	ip->check = csum_apply(ip->check, csum_diff16(bpf_htons(0x0100), 0));
}

static __always_inline bool ttl_decrement(CTX *ctx, const __u8 family)
{
	if (family == FAMILY_V6) {
		struct ipv6hdr *ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip));

		if (!ip)
			return false;
		ip->hop_limit--;
	} else {
		struct iphdr *ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip));

		if (!ip)
			return false;
		ip4_hop(ip);
	}
	return true;
}
