/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* A packet of a connection goes its way: next hop, state, counters, translation. */
#pragma once

#include "fwd/direct.h"
#include "fwd/nat.h"
#include "fwd/tunnel.h"
#include "leave.h"
#include "nexthop.h"
#include "state.h"
#include "stats.h"

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

	t->source = reply;
	t->hop = !(d->flags & DST_LOCAL);
	t->port = reply || !d->port ? c->vport : d->port;
	if (family == FAMILY_V6)
		t->addr = reply ? ref->ends->vaddr : d->addr;
	else
		t->addr.w[0] = reply ? c->vaddr : d->addr.w[0];
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

/* Whether a packet that is too big for its way is cut: what DF does not forbid, and
 * errors, as nobody is told about them (RFC 1122). In a tunnel, DF counts only as
 * far as the outer packet has it. Only tc cuts. */
static __always_inline bool packet_is_cut(const struct pkt *p, const struct conn_ref *ref,
					  const __u8 family)
{
	if (CTX_IS_XDP || family != FAMILY_V4)
		return false;
	return !p->whole || p->quote ||
	       (life_method(ref->life) == METHOD_TUNNEL && !pmtu_wanted());
}

/* Finds the way of a packet: 0, REASON_SLOW_PATH, LEAVE or a reason. */
static __always_inline int hop_find(CTX *ctx, struct work *w, struct conn_ref *ref, bool reply,
				    __u32 now, struct hop *hop, const __u8 family)
{
	__u32 mtu = reply ? 0 : ref->dst->mtu;
	int rc;

	if (w->pkt.ttl <= 1)
		return reply ? LEAVE : -REASON_TTL_EXCEEDED; /* the kernel says so */
	rc = reply ? hop_reply(ctx, w, ref, now, hop, family)
		   : hop_forward(ctx, w, ref->dst, now, hop, family);
	if (rc)
		return reply && rc != -REASON_FORWARDING_DISABLED ? LEAVE : rc;
	if (hop_too_big(ctx, hop, w->pkt.len + method_overhead(ref), &mtu)) {
		w->pkt.mtu = mtu - method_overhead(ref);
		if (!packet_is_cut(&w->pkt, ref, family))
			return reply && w->pkt.whole ? LEAVE : -REASON_TOO_BIG; /* likewise */
		w->pkt.cut = mtu;
		hop_settle(hop, &w->route);
	}
	return ctx_can_reach(ctx, hop) ? 0 : REASON_SLOW_PATH;
}

/* What else the kernel changes in a packet on its way: options are filled in, and a
 * fragment that is the whole packet has lost its header. In a tunnel of IPv6 the outer
 * packet is one then. */
static __always_inline int packet_touch(CTX *ctx, struct pkt *p, const struct conn_ref *ref,
					bool reply, const __u8 family)
{
	if (family == FAMILY_V4)
		return p->options ? ctx_options(ctx, reply ? ref->conn->vaddr : p->daddr.w[0], true)
				  : 0;
	if (!p->atomic)
		return 0;
	if (life_method(ref->life) == METHOD_TUNNEL && ref->dst->family == FAMILY_V6)
		p->cut = 0xffff;
	return ctx_unwrap_atomic(ctx, p) ? 0 : -REASON_REWRITE_FAILED;
}

/* Counts a packet as the kernel would, which puts fragments together first. */
static __always_inline void packet_count(const struct pkt *p, const struct conn_ref *ref, bool reply)
{
	__u32 len = p->len;

	if (p->later)
		len -= p->body - L3_OFFSET;
	stats_packet(ref->conn->dst, reply, !p->later, len);
}

/* Steps, counts, rewrites and sends a packet of a connection. What goes to the host
 * itself, or comes from it, is only rewritten: the host knows its way. */
static __always_inline int conn_forward(CTX *ctx, struct work *w, struct conn_ref *ref,
					bool reply, __u32 now, const struct settings *set,
					int *verdict, const __u8 family)
{
	bool here = ref->dst->flags & DST_LOCAL;
	struct pkt *p = &w->pkt;
	struct hop hop = {};
	int rc;

	if (!reply && !(ref->dst->flags & DST_AVAILABLE))
		return -REASON_DESTINATION_GONE;
	if (!CTX_IS_XDP && family == FAMILY_V4 && p->quote && !quote_is_right(ctx, p))
		return -REASON_MALFORMED;
	if (!here) {
		rc = hop_find(ctx, w, ref, reply, now, &hop, family);
		if (rc)
			return rc;
		if (p->cut && !hop.via)
			return ctx_cut_first(ctx, p->mtu, verdict);
		rc = packet_touch(ctx, p, ref, reply, family);
		if (rc)
			return rc;
	}
	if (!p->quote && !p->bare)
		conn_step(ref, p, reply, now, set);
	if (!p->quote || !reply)
		packet_count(p, ref, reply);
	if (!packet_rewrite(ctx, p, ref, reply, family))
		return -REASON_REWRITE_FAILED;
	if (here)
		return LEAVE;
	if (hop.via) {
		rc = hop_send(ctx, &hop);
		if (rc)
			return rc;
	}
	if (p->cut && !ctx_cut(ctx, p->cut, hop.ifindex))
		return -REASON_REWRITE_FAILED;
	*verdict = ctx_send(ctx, &hop, &w->route);
	return 0;
}
