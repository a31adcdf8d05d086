/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* A packet of a connection goes its way: next hop, state, counters, translation. */
#pragma once

#include "clamp.h"
#include "fwd/direct.h"
#include "fwd/nat.h"
#include "fwd/tunnel.h"
#include "leave.h"
#include "options.h"
#include "segment.h"
#include "state.h"
#include "stats.h"
#include "way.h"

static __always_inline int hop_send(CTX *ctx, const struct hop *hop)
{
	const __u32 *macs = (const __u32 *)hop->via->dmac; /* both addresses, by words */
	__u32 *frame = ctx_header(ctx, 0, sizeof(struct ethhdr));

	if (!frame)
		return -REASON_REWRITE_FAILED;
	for (int i = 0; i < 3; i++)
		frame[i] = macs[i];
	return 0;
}

/* How a masqueraded packet is translated. */
static __always_inline void translation_of(const struct conn_ref *ref, bool reply,
					   struct translation *t, const __u8 family)
{
	struct conn *c = ref->conn;
	struct dst *d = ref->dst;
	bool virtual = reply || d->flags & DST_BYPASS;

	t->source = reply;
	t->hop = !(d->flags & DST_LOCAL);
	t->port = reply ? c->vport : server_port(c, ref->life, d);
	if (family == FAMILY_V6)
		t->addr = virtual ? ref->ends->vaddr : d->addr;
	else
		t->addr.w[0] = virtual ? c->vaddr : d->addr.w[0];
}

/* Makes of the packet what its method sends. False: it could not be written. */
static __always_inline bool packet_rewrite(CTX *ctx, const struct pkt *p,
					   const struct conn_ref *ref, bool reply,
					   const __u8 family)
{
	struct translation t;

	switch (life_method(ref->life)) {
	case METHOD_MASQ:
		translation_of(ref, reply, &t, family);
		return nat_translate(ctx, p, &t, family);
	case METHOD_ROUTE:
		return ttl_decrement(ctx, family);
	case METHOD_TUNNEL:
		return tunnel_wrap(ctx, p, ref->conn->dst,
				   *conn_key(ref->conn) * 0x9e3779b97f4a7c15 >> 32);
	case METHOD_LOCAL:
		return true;
	}
	return false;
}

/* How much larger the packet becomes. */
static __always_inline __u32 method_overhead(const struct conn_ref *ref)
{
	return life_method(ref->life) == METHOD_TUNNEL ? tunnel_overhead(ref->dst) : 0;
}

/* Finds the way of a packet: 0, REASON_SLOW_PATH, LEAVE or a reason. */
static __always_inline int hop_find(CTX *ctx, struct work *w, struct conn_ref *ref, bool reply,
				    __u32 now, struct hop *hop, const __u8 family)
{
	int rc;

	if (w->pkt.ttl <= 1)
		return reply ? LEAVE : -REASON_TTL_EXCEEDED; /* the kernel says so */
	rc = reply ? hop_reply(ctx, w, ref, now, hop, family)
		   : hop_forward(ctx, w, ref, now, hop);
	if (rc)
		return reply && rc != -REASON_FORWARDING_DISABLED ? LEAVE : rc;
	if (life_method(ref->life) == METHOD_TUNNEL && !tunnel_begins(ref->dst))
		return -REASON_NO_ROUTE;
	rc = ctx_size_check(ctx, &w->pkt, hop->ifindex, reply ? 0 : ref->dst->mtu,
			    method_overhead(ref));
	if (rc)
		return reply && w->pkt.whole ? LEAVE : rc; /* likewise */
	if (w->pkt.cut)
		hop_settle(hop, &w->route);
	return ctx_can_reach(ctx, hop) ? 0 : REASON_SLOW_PATH;
}

/* Counts a packet as the kernel would, which puts fragments together first. */
static __always_inline void packet_count(const struct pkt *p, const struct conn_ref *ref,
					 bool reply, const __u8 family)
{
	__u32 len = p->len;

	if (p->later)
		len -= p->body - L3_OFFSET;
	else if (family == FAMILY_V6 && p->fragment)
		len -= sizeof(struct ext_fragment);
	stats_packet(ref->conn->dst, reply, !p->later, len);
}

/* What the host itself has to do with a packet: it goes to a server on the host, or
 * comes from one, or answers a client on the host. */
static __always_inline bool host_keeps(const struct conn_ref *ref, bool reply)
{
	return ref->dst->flags & DST_LOCAL || (reply && conn_is_home(ref->conn));
}

/* Leaves a rewritten packet to the host, which knows its way; but one that comes, or
 * was on its way, by an interface that leads elsewhere is handed over by loopback. */
static __always_inline int host_receive(CTX *ctx, const struct pkt *p,
					const struct conn_ref *ref, bool reply, int *verdict)
{
	bool away = reply ? !p->home
			  : p->home && life_method(ref->life) == METHOD_MASQ &&
				    ctx_ifindex(ctx) != LOOPBACK;

	if (!away)
		return LEAVE;
	*verdict = ctx_deliver(ctx);
	return 0;
}

/* Steps, counts, rewrites and sends a packet of a connection. */
static __always_inline int ref_forward(CTX *ctx, struct work *w, struct conn_ref *ref,
				       bool reply, __u32 now, const __u8 family)
{
	const struct settings *set = settings_get();
	struct pkt *p = &w->pkt;
	struct hop hop = {};
	int rc;

	if (!set)
		return LEAVE;
	if (!reply && !(ref->dst->flags & (DST_AVAILABLE | DST_BYPASS)) && !life_resets(ref->life))
		return -REASON_DESTINATION_GONE;
	if (segments_needed(ctx, ref)) {
		w->verdict = rc = segments_send(ctx, set);
		return rc < 0 ? rc : 0;
	}
	if (!host_keeps(ref, reply)) {
		rc = hop_find(ctx, w, ref, reply, now, &hop, family);
		if (rc)
			return rc;
		if (p->cut && !hop.via)
			return ctx_cut_first(ctx, p->mtu, &w->verdict);
		if (family == FAMILY_V6 && p->atomic &&
		    !ctx_atomic(ctx, p, life_method(ref->life) == METHOD_TUNNEL &&
						ref->dst->family == FAMILY_V6))
			return -REASON_REWRITE_FAILED;
	} else if (CTX_IS_XDP && reply) {
		return REASON_SLOW_PATH;
	}
	if (!p->quote && !p->bare && !p->born)
		conn_step(ref, p, reply, now, family);
	if (!p->quote || !reply)
		packet_count(p, ref, reply, family);
	if (family == FAMILY_V4 && !CTX_IS_XDP && p->options && !reply && hop.ifindex &&
	    !options_read(ctx, true))
		return -REASON_REWRITE_FAILED;
	if (hop.ifindex && clamp_wanted(set, p))
		clamp(ctx, hop.ifindex, ref->conn->dst, life_method(ref->life) == METHOD_TUNNEL);
	if (!packet_rewrite(ctx, p, ref, reply, family))
		return -REASON_REWRITE_FAILED;
	if (!hop.ifindex)
		return host_receive(ctx, p, ref, reply, &w->verdict);
	if (hop.via) {
		rc = hop_send(ctx, &hop);
		if (rc)
			return rc;
	}
	if (p->home)
		ctx_sign(ctx);
	if (p->cut && !ctx_cut(ctx, p->cut, hop.ifindex))
		return -REASON_REWRITE_FAILED;
	/* What the host sends has a route already, to the VIP; while the next hop is
	 * resolved, it would wait for the neighbour of that. By direct routing there is
	 * no other, as the packet still goes to the VIP. */
	w->route.by_packet = p->home && life_method(ref->life) != METHOD_ROUTE;
	w->verdict = ctx_send(ctx, &hop, &w->route);
	return 0;
}

/* Functions of their own, so that their stack and that of finding the connection do
 * not add up. */
static __noinline int ref_forward4(CTX *ctx, struct work *w, struct conn_ref *ref, bool reply,
				   __u32 now)
{
	return ref_forward(ctx, w, ref, reply, now, FAMILY_V4);
}

static __noinline int ref_forward6(CTX *ctx, struct work *w, struct conn_ref *ref, bool reply,
				   __u32 now)
{
	return ref_forward(ctx, w, ref, reply, now, FAMILY_V6);
}

static __always_inline int conn_forward(CTX *ctx, struct work *w, struct conn_ref *ref,
					bool reply, __u32 now, int *verdict, const __u8 family)
{
	int rc = family == FAMILY_V6 ? ref_forward6(ctx, w, ref, reply, now)
				     : ref_forward4(ctx, w, ref, reply, now);

	if (!rc)
		*verdict = w->verdict;
	return rc;
}
