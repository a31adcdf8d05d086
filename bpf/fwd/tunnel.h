/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * IP tunnelling: the packet goes to the server within another, from the
 * director to the server, and comes out there with the VIP still on it. The
 * outer header takes over type of service, time to live and whether the packet
 * may be cut (RFC 2003, RFC 2473); it may be of the other family.
 */
#pragma once

#include "../encap/all.h"
#include "../conn.h"
#include "../mtu.h"
#include "../pkt.h"
#include "../transport.h"
#include "direct.h"

static __always_inline __u32 ip_bytes(__u8 family)
{
	return family == FAMILY_V6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
}

/* Bytes that a tunnel adds. */
static __always_inline __u32 tunnel_overhead(const struct dst *d)
{
	return ip_bytes(d->family) + encap_bytes(d);
}

/* Whether an address of the director's is known that a tunnel to there can begin at. */
static __always_inline bool tunnel_begins(const struct dst *d)
{
	return d->source.q[0] || d->source.q[1];
}

/* What the outer header takes over. */
struct outer {
	__u8 tos;
	__u8 ttl;
	__u16 frag_off; /* DF or nothing */
};

/* A mark of congestion stays inside; outside, the packet is as able to carry one
 * as before (RFC 3168, section 9.1.1, full functionality). */
static __always_inline __u8 tos_outside(__u8 inside)
{
	return (inside & 3) == 3 ? (inside & ~3) | 2 : inside;
}

static __always_inline bool outer_read(CTX *ctx, const struct pkt *p, struct outer *o)
{
	if (p->family == FAMILY_V6) {
		struct ipv6hdr *ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip));

		if (!ip)
			return false;
		o->tos = tos_outside(ip->priority << 4 | ip->flow_lbl[0] >> 4);
		o->ttl = ip->hop_limit;
		o->frag_off = 0;
	} else {
		struct iphdr *ip = ctx_header(ctx, L3_OFFSET, sizeof(*ip));

		if (!ip)
			return false;
		o->tos = tos_outside(ip->tos);
		o->ttl = ip->ttl;
		o->frag_off = !p->cut && pmtu_wanted() ? ip->frag_off & bpf_htons(0x4000) : 0;
	}
	return true;
}

static __always_inline void outer_write4(struct iphdr *ip, const struct dst *d,
					 const struct outer *o, const struct wrapping *w)
{
	ip->version = 4;
	ip->ihl = 5;
	ip->tos = o->tos;
	ip->tot_len = bpf_htons(w->len + sizeof(*ip));
	ip->id = o->frag_off ? 0 : bpf_get_prandom_u32();
	ip->frag_off = o->frag_off;
	ip->ttl = o->ttl;
	ip->protocol = encap_proto(d->tunnel, w->inner);
	ip->check = 0;
	ip->saddr = w->source.w[0];
	ip->daddr = d->addr.w[0];
	ip->check = csum_ip_header(ip);
	encap_write(d->tunnel, ip + 1, w);
}

static __always_inline void outer_write6(struct ipv6hdr *ip, const struct dst *d,
					 const struct outer *o, const struct wrapping *w)
{
	ip->version = 6;
	ip->priority = o->tos >> 4;
	ip->flow_lbl[0] = o->tos << 4;
	ip->flow_lbl[1] = 0;
	ip->flow_lbl[2] = 0;
	ip->payload_len = bpf_htons(w->len);
	ip->nexthdr = encap_proto(d->tunnel, w->inner);
	ip->hop_limit = o->ttl;
	*(union addr *)&ip->saddr = w->source;
	*(union addr *)&ip->daddr = d->addr;
	encap_write(d->tunnel, ip + 1, w);
}

/*
 * Where the outer packet comes from: the director; or, as asked for by
 * tun_rss_source, from a neighbour of it by number, one for each connection. A
 * network card chooses its queue by addresses, and by ports where it finds some; so
 * without this, all that comes through a tunnel without ports goes to one queue.
 */
static __always_inline void source_of(const struct dst *d, struct wrapping *w)
{
	struct settings *set = settings_get();
	__u32 bits = set ? set->sysctl[SYSCTL_TUN_RSS_SOURCE] : 0, mask, *word;

	w->source = d->source;
	if (!bits || d->tunnel == TUNNEL_GUE)
		return;
	mask = bpf_htonl(~0u >> ((32 - bits) & 31));
	word = d->family == FAMILY_V6 ? &w->source.w[3] : &w->source.w[0];
	*word = (*word & ~mask) | (bpf_htonl(w->flow >> ((32 - bits) & 31)) & mask);
}

/* Wraps the packet for a destination: 1, or 0 if it could not be written. A
 * function of its own for the verifier's sake. */
__noinline int tunnel_wrap(CTX *ctx, const struct pkt *p, __u32 dst, __u32 flow)
{
	struct dst *d = dst_get(dst);
	struct work *work = work_get();
	struct outer o = {};
	struct wrapping *w;
	void *ip;

	if (!p || !d || !work || !ttl_decrement(ctx, p->family) || !outer_read(ctx, p, &o))
		return 0;
	w = &work->wrapping;
	w->dest = d->addr;
	w->port = d->tunnel_port;
	w->outer = d->family;
	w->flow = flow;
	w->inner = p->family;
	w->len = p->len + encap_bytes(d);
	w->check = encap_checks(d);
	if (w->check)
		w->sum = finished_sum(ctx, p);
	source_of(d, w);
	if (!ctx_grow(ctx, d->tunnel, tunnel_overhead(d), d->family, p->family, p->cut))
		return 0;
	if (d->family == FAMILY_V6) {
		ip = ctx_header(ctx, L3_OFFSET, sizeof(struct ipv6hdr) + ENCAP_MAX);
		if (!ip)
			return 0;
		outer_write6(ip, d, &o, w);
	} else {
		ip = ctx_header(ctx, L3_OFFSET, sizeof(struct iphdr) + ENCAP_MAX);
		if (!ip)
			return 0;
		outer_write4(ip, d, &o, w);
	}
	return 1;
}
