/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * mss_clamp at the director: what SYNs announce is lowered to the narrowest that is
 * known of the ways they come and go. Of masqueraded connections both directions
 * pass here, so both ends learn it. Through a tunnel only the client's SYN passes:
 * what the client is to send is announced by the server, past the director, and
 * lowered there (decap/announce.h).
 */
#pragma once

#include "fwd/tunnel.h"
#include "mss.h"
#include "nexthop.h"

static __always_inline bool clamp_wanted(const struct settings *set, const struct pkt *p)
{
	return set->sysctl[SYSCTL_MSS_CLAMP] && p->proto == IPPROTO_TCP && p->flags & TCP_SYN &&
	       !p->quote && !p->bare && !p->fragment;
}

/* Clamps the SYN at hand, of a connection to a destination, as it goes out of an
 * interface. A function of its own for the verifier's sake. */
__noinline int clamp(CTX *ctx, __u32 out, __u32 dst, bool wrapped)
{
	struct work *w = work_get();
	struct dst *d = dst_get(dst);
	__u32 mtu, device = 0, headers;

	if (!w || !d)
		return 0;
	mtu = d->mtu;
	if (bpf_check_mtu(ctx, out, &device, 0, 0) >= 0 && (!mtu || device < mtu))
		mtu = device;
	if (wrapped)
		mtu -= tunnel_overhead(d);
	/* what the interface takes that it came by is for answers, not in the tunnel */
	device = 0;
	if (bpf_check_mtu(ctx, ctx_ifindex(ctx), &device, 0, 0) >= 0 && device < mtu)
		mtu = device;
	headers = (w->pkt.family == FAMILY_V6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) +
		  sizeof(struct tcphdr);
	if (mtu <= headers || mtu > 0xffff)
		return 0;
	return mss_lower(ctx, w->pkt.l4, mtu - headers);
}
