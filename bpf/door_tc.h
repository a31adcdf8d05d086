/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* How a packet leaves by tc: sent, with the kernel resolving what is not
 * resolved, or refused. */
#pragma once

#include "ctx_tc.h"
#include "bypass.h"
#include "cut.h"
#include "filter.h"
#include "fwd/direct.h"
#include "icmp.h"
#include "inside.h"
#include "kept.h"
#include "leave.h"
#include "nexthop.h"
#include "resegment.h"
#include "reset.h"

static __always_inline bool ctx_can_reach(CTX *ctx, const struct hop *hop)
{
	return true;
}

/* Has the kernel resolve the next hop: what is not resolved waits in its neighbour
 * table. A function of its own, whose stack is free again for the rest. */
static __noinline int neighbour_send(__u32 ifindex, const struct route *r)
{
	struct bpf_redir_neigh gateway = {};

	if (r->by_packet)
		return bpf_redirect_neigh(ifindex, NULL, 0, 0);
	gateway.nh_family = r->gw_family == FAMILY_V6 ? AF_INET6 : AF_INET;
	*(union addr *)gateway.ipv6_nh = r->gateway;
	return bpf_redirect_neigh(ifindex, &gateway, sizeof(gateway), 0);
}

static __always_inline int ctx_send(CTX *ctx, const struct hop *hop, const struct route *r)
{
	if (hop->via)
		return bpf_redirect(hop->ifindex, 0);
	return neighbour_send(hop->ifindex, r);
}

/* The traffic control index, which little else uses, of a packet of the host that
 * has been looked at, as it leaves by another interface than it began to. */
#define SIGNATURE 0xe5e5

static __always_inline void ctx_sign(CTX *ctx)
{
	ctx->tc_index = SIGNATURE;
}

static __always_inline bool ctx_is_signed(CTX *ctx)
{
	return ctx->tc_index == SIGNATURE;
}

/* Hands the packet to the host by its loopback, with a route of the host's own: by
 * another interface, a source that is its own address would have it dropped. */
static __always_inline int ctx_deliver(CTX *ctx)
{
	return bpf_redirect_neigh(LOOPBACK, NULL, 0, 0);
}

/*
 * Whether an error may come from where a packet was sent to: as in the kernel not from
 * an address that is others', to which a firewall mark can lead. With IPv6, it then
 * comes from an address of the interface.
 */
static __always_inline bool vip_can_tell(CTX *ctx, const struct pkt *p, int reason)
{
	if (p->family == FAMILY_V6 || p->home || reason == REASON_NO_CONNECTION)
		return true;
	return addr_is_vip(&p->daddr, FAMILY_V4) || packet_is_home(ctx);
}

/* Whether the sender of a packet is to be told why it is dropped. */
static __always_inline bool refusal_told(CTX *ctx, const struct pkt *p, int reason)
{
	/* not about an error, nor a later fragment */
	if (!icmp_errors[reason & REASON_MASK].type || p->quote || p->bare)
		return false;
	if (reason == REASON_TOO_BIG && !p->whole)
		return false;
	/* like the kernel, which takes a hop off before it looks */
	if ((reason == REASON_TOO_BIG || reason == REASON_NO_CONNECTION) &&
	    !ttl_decrement(ctx, p->family))
		return false;
	return icmp_allowed() && vip_can_tell(ctx, p, reason);
}

/* Asks for the way back to who sent the packet: 0, or a reason. */
static __always_inline int sender_route(CTX *ctx, struct work *w)
{
	w->route.family = w->pkt.family;
	w->route.src = w->pkt.daddr;
	w->route.dst = w->pkt.saddr;
	return route_ask(ctx);
}

/* Turns the packet into the error w->error, and sends that. */
__noinline int error_send(CTX *ctx, struct work *w)
{
	struct pkt *p;

	if (!w)
		return CTX_DROP;
	p = &w->pkt;
	if (p->home)
		return icmp_make(ctx, p, w->error, ctx_ifindex(ctx)) ? ctx_deliver(ctx) : CTX_DROP;
	if (sender_route(ctx, w) || !icmp_make(ctx, p, w->error, w->route.ifindex))
		return CTX_DROP;
	return neighbour_send(w->route.ifindex, &w->route);
}

/* Sends what becomes of a segment of a connection that is reset (reset.h). What goes
 * on comes in once more, a reset of its sender's now; of what the host sends, it goes
 * out. A function of its own for the verifier's sake. */
__noinline int reset_send(CTX *ctx, struct work *w)
{
	struct pkt *p;
	__u32 again;
	struct said said;

	if (!w || !w->reset || !segment_read(ctx, &w->pkt, &said))
		return CTX_DROP;
	p = &w->pkt;
	again = p->home ? 0 : BPF_F_INGRESS;
	if (w->reset & RESET_ON) {
		if (!segment_write(ctx, p, said.seq, said.ack, TCP_RST | (said.flags & TCP_ACK)))
			return CTX_DROP;
		if (!(w->reset & RESET_BACK))
			return bpf_redirect(ctx_ifindex(ctx), again);
		/* Of what the host sends, this runs within it, and leaves w as it was: the
		 * packet is the same. */
		bpf_clone_redirect(ctx, ctx_ifindex(ctx), again);
	}
	if (!segment_answer(ctx, p, &said))
		return CTX_DROP;
	if (p->home)
		return ctx_deliver(ctx);
	if (sender_route(ctx, w))
		return CTX_DROP;
	return neighbour_send(w->route.ifindex, &w->route);
}

/* Drops the packet, and tells its sender why where there is an error for it. A
 * function of its own for the verifier's sake. */
__noinline int ctx_refuse(CTX *ctx, struct work *w, int reason)
{
	if (!w)
		return CTX_DROP;
	count(reason);
	if (reason == REASON_RESET)
		return reset_send(ctx, w);
	if (!refusal_told(ctx, &w->pkt, reason))
		return CTX_DROP;
	w->error = icmp_what(reason, w->pkt.family);
	if (reason == REASON_NO_CONNECTION) /* it was not for a VIP */
		w->error |= ICMP_FROM_LINK;
	return error_send(ctx, w);
}

/* What is left to the host may be an error about a tunnel of ours: 0 and *verdict,
 * LEAVE or a reason. */
static __always_inline int ctx_inside(CTX *ctx, struct work *w, int *verdict, const __u8 family)
{
	int rc;

	if (family != FAMILY_V4 || !w->pkt.quote)
		return LEAVE;
	rc = inside_error(ctx, w);
	if (rc != 1)
		return rc;
	*verdict = icmp_allowed() ? error_send(ctx, w) : CTX_DROP;
	return 0;
}

/*
 * A first fragment is noted, and what waited for it comes behind it; a later one
 * learns its ports, or is kept, if it came by an interface: what the host sends itself
 * is in order. 0, LEAVE or a reason. A function of its own for the verifier's sake.
 */
__noinline int ctx_fragment(CTX *ctx, struct pkt *p)
{
	if (!p)
		return LEAVE;
	if (p->later) {
		if (frag_find(p))
			return 0;
		return p->home ? LEAVE : frag_keep(ctx, p);
	}
	frag_note(p);
	return frag_follow(ctx, p) ? 0 : -REASON_REWRITE_FAILED;
}

/* Cuts the packet for the interface that it leaves by. */
static __always_inline bool ctx_cut(CTX *ctx, __u32 mtu, __u32 ifindex)
{
	return packet_cut(ctx, mtu, ifindex, 0);
}

/* Cuts the packet as it came: its pieces come in once more, and each waits for its
 * neighbour in the kernel's table. */
static __always_inline int ctx_cut_first(CTX *ctx, __u32 mtu, int *verdict)
{
	if (!packet_cut(ctx, mtu, ctx->ifindex, BPF_F_INGRESS))
		return -REASON_REWRITE_FAILED;
	*verdict = bpf_redirect(ctx->ifindex, BPF_F_INGRESS);
	return 0;
}

/* A fragment that is the whole packet loses its header, but if it goes into a tunnel of
 * IPv6, the outer packet becomes such a fragment: as in the kernel. */
static __always_inline bool ctx_atomic(CTX *ctx, struct pkt *p, bool outer6)
{
	if (outer6)
		p->cut = 0xffff;
	return atomic_unwrap(ctx, p);
}
