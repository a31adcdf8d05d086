/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * mss_clamp at the director: what SYNs announce is lowered to the narrowest that is
 * known of the ways they come and go. Of masqueraded connections both directions
 * pass here, so both ends learn it. Through a tunnel only the client's SYN passes:
 * what the client is to send is announced by the server, past the director, and
 * lowered there (decap/announce.h).
 */
#pragma once

#include "mss.h"
#include "nexthop.h"

static __always_inline bool clamp_wanted(const struct settings *set, const struct pkt *p)
{
	return set->sysctl[SYSCTL_MSS_CLAMP] && p->proto == IPPROTO_TCP && p->flags & TCP_SYN &&
	       !p->quote && !p->bare && !p->fragment;
}

/* Clamps a SYN that goes out of an interface, on a way that takes mtu, 0 unknown,
 * and with so many bytes added to what it carries. A function of its own for the
 * verifier's sake. */
__noinline int clamp(CTX *ctx, const struct pkt *p, __u32 out, __u32 mtu, __u32 overhead)
{
	__u32 in = 0, device = 0, headers;

	if (!p)
		return 0;
	if (bpf_check_mtu(ctx, out, &device, 0, 0) >= 0 && (!mtu || device < mtu))
		mtu = device;
	mtu -= overhead;
	/* what the interface takes that it came by is for answers, not in the tunnel */
	if (bpf_check_mtu(ctx, ctx_ifindex(ctx), &in, 0, 0) >= 0 && in < mtu)
		mtu = in;
	headers = (p->family == FAMILY_V6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) +
		  sizeof(struct tcphdr);
	if (mtu <= headers || mtu > 0xffff)
		return 0;
	return mss_lower(ctx, p->l4, mtu - headers);
}
