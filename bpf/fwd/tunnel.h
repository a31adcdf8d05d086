/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * IP tunnelling: the packet goes to the server within another, from the
 * director to the server, and comes out there with the VIP still on it. The
 * outer header takes over type of service, time to live and whether the packet
 * may be cut (RFC 2003).
 */
#pragma once

#include "../encap/all.h"
#include "../conn.h"
#include "direct.h"

/* Bytes that a tunnel adds. */
static __always_inline __u32 tunnel_overhead(const struct dst *d)
{
	return sizeof(struct iphdr) + encap_bytes(d->tunnel);
}

static __always_inline bool tunnel_supported(const struct dst *d)
{
	return !d->tunnel_flags && d->family == FAMILY_V4 && d->source.w[0];
}

/* A mark of congestion stays inside; outside, the packet is as able to carry one
 * as before (RFC 3168, section 9.1.1, full functionality). */
static __always_inline __u8 tos_outside(__u8 inside)
{
	return (inside & 3) == 3 ? (inside & ~3) | 2 : inside;
}

/* Wraps the packet for a destination: 1, or 0 if it could not be written. A
 * function of its own for the verifier's sake. */
__noinline int tunnel_wrap(CTX *ctx, const struct pkt *p, __u32 dst, __u32 flow)
{
	struct dst *d = dst_get(dst);
	struct wrapping w = {.dst = d, .flow = flow};
	struct iphdr *ip, inner;

	if (!p || !d || !ttl_decrement(ctx))
		return 0;
	w.len = p->len + encap_bytes(d->tunnel);
	ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip));
	if (!ip)
		return 0;
	inner = *ip;
	if (!ctx_grow(ctx, d->tunnel, tunnel_overhead(d)))
		return 0;
	ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip) + ENCAP_MAX);
	if (!ip)
		return 0;
	ip->version = 4;
	ip->ihl = 5;
	ip->tos = tos_outside(inner.tos);
	ip->tot_len = bpf_htons(p->len + tunnel_overhead(d));
	ip->id = 0;
	ip->frag_off = inner.frag_off & bpf_htons(0x4000);
	ip->ttl = inner.ttl;
	ip->protocol = encap_proto(d->tunnel);
	ip->check = 0;
	ip->saddr = d->source.w[0];
	ip->daddr = d->addr.w[0];
	ip->check = csum_ip_header(ip);
	encap_write(d->tunnel, ip + 1, &w);
	return 1;
}
