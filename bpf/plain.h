/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The plain packet: whole, without options, of an established connection that it
 * leaves in its state, and whose way is known. Most packets are, and take a straight
 * line: no struct in memory, no call, no look at a service or a route. It is made of
 * the same parts as the road (director.h) and does what that would do; whatever is
 * less than plain takes the road, before anything has been changed.
 */
#pragma once

#include "filter.h"
#include "forward.h"

#define ROAD -100 /* not plain; no verdict has its number */

/* Whether a packet is plain by itself. What the way takes is asked only on the road,
 * so this one fits every way. */
static __always_inline bool pkt_is_plain(CTX *ctx, struct pkt *p, const __u8 family)
{
	if (!pkt_parse_l3(ctx, p, family) || p->fragment || p->ttl <= 1)
		return false;
	if (family == FAMILY_V4 && p->options)
		return false;
	/* said as a constant, it is one to the compiler */
	p->l4 = L3_OFFSET + (family == FAMILY_V6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	if (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP)
		return false;
	if (p->len > MTU_ALWAYS && !ctx_is_cut_later(ctx))
		return false;
	if (!pkt_is_whole(ctx, p) || !pkt_parse_l4(ctx, p))
		return false;
	return p->proto == IPPROTO_UDP ||
	       (p->flags & (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK)) == TCP_ACK;
}

/* Finds the connection in one of its two buckets. */
static __always_inline bool plain_find(const struct pkt *p, const struct flow *f, __u32 now,
				       struct conn_ref *ref, const __u8 family)
{
	__u64 hash = client_hash(f);
	struct bucket6 *b = bucket_get(bucket_first(hash, family), family);
	int i = b ? bucket_find(b, f, p, now, ref, family) : -1;
	__u32 slot;

	if (i < 0) {
		b = bucket_get(bucket_second(hash, family), family);
		i = b ? bucket_find(b, f, p, now, ref, family) : -1;
	}
	if (i < 0)
		return false;
	slot = any_slot(i);
	ref->conn = &b->slot[slot];
	if (family == FAMILY_V6)
		ref->ends = &b->ends[slot];
	return true;
}

/* Whether the connection is one that a plain packet leaves as it is, but for its
 * time. One whose packets are still counted (enum conn_packets) is not in its state
 * alone. */
static __always_inline bool conn_is_plain(const struct pkt *p, const struct conn_ref *ref,
					  const bool reply)
{
	__u8 method = life_method(ref->life);

	if ((ref->dst->flags & (DST_AVAILABLE | DST_QUIESCENT | DST_LOCAL)) != DST_AVAILABLE)
		return false;
	if (method != METHOD_MASQ && (reply || method != METHOD_ROUTE))
		return false;
	if (p->proto == IPPROTO_TCP)
		return ref->life.state == STATE_ESTABLISHED;
	/* the first answer of UDP is something to remember */
	return ref->life.state == STATE_UDP && (!reply || ref->life.flags & CONN_ASSURED);
}

/* The next hop, if it is known and can be reached from here. */
static __always_inline bool hop_is_plain(CTX *ctx, const struct conn_ref *ref, const bool reply,
					 __u32 now, struct hop *hop)
{
	hop->via = nexthop_get(reply ? ref->conn->nexthop : ref->dst->nexthop);
	if (!hop->via ||
	    now - (reply ? ref->conn->nexthop_stamp : ref->dst->nexthop_stamp) >= conf_hz)
		return false;
	hop->ifindex = hop->via->ifindex;
	return ctx_can_reach(ctx, hop);
}

/* Gives the connection its time anew, which most packets need not write. False: another
 * CPU has changed it. */
static __always_inline bool conn_renew(struct conn_ref *ref, __u32 now,
				       const struct settings *set)
{
	union life next = ref->life;

	next.expires = now + set->timeout[next.state & STATE_MASK] * conf_hz;
	return next.expires - ref->life.expires < conf_hz / 8 ||
	       CAS(conn_life(ref->conn), ref->life.word, next.word) == ref->life.word;
}

/* Translates address and port; the checksum is there. */
static __always_inline bool plain_translate(CTX *ctx, const struct pkt *p,
					    const struct conn_ref *ref, const bool reply,
					    const __u8 family)
{
	bool udp = p->proto == IPPROTO_UDP;
	struct translation t = {};
	__u16 *port, old;
	__u32 diff;

	translation_of(ref, reply, &t, family);
	port = ctx_header(ctx, p->l4 + (reply ? 0 : 2), sizeof(*port));
	if (!port)
		return false;
	old = *port;
	*port = t.port;
	return ip_translate(ctx, &t, &diff, family) &&
	       ctx_l4_fix(ctx, p->l4 + (udp ? offsetof(struct udphdr, check)
					    : offsetof(struct tcphdr, check)),
			  udp, diff, old, t.port, family);
}

/* The way of a packet whose direction is known: a verdict, or ROAD. */
static __always_inline int plain_forward(CTX *ctx, const struct pkt *p, const bool reply,
					 const struct settings *set, __u32 now,
					 const __u8 family)
{
	struct hop hop = {};
	struct conn_ref ref;
	struct flow f;
	bool sent;

	if (reply)
		flow_reply(p, &f, family);
	else
		flow_forward(p, &f, family);
	if (!plain_find(p, &f, now, &ref, family) || !conn_is_plain(p, &ref, reply) ||
	    !hop_is_plain(ctx, &ref, reply, now, &hop))
		return ROAD;
	if (life_method(ref.life) == METHOD_MASQ && p->proto == IPPROTO_UDP && udp_is_bare(ctx, p))
		return ROAD;
	if (!conn_renew(&ref, now, set))
		return ROAD;
	packet_count(p, &ref, reply, family);
	sent = life_method(ref.life) == METHOD_MASQ ? plain_translate(ctx, p, &ref, reply, family)
						    : ttl_decrement(ctx, family);
	if (!sent || hop_send(ctx, &hop)) {
		count(REASON_REWRITE_FAILED);
		return CTX_DROP;
	}
	return bpf_redirect(hop.ifindex, 0);
}

static __always_inline int plain(CTX *ctx, const __u8 family)
{
	struct settings *set = settings_get();
	struct pkt p = {};
	__u8 interest;

	if (!set || !pkt_is_plain(ctx, &p, family))
		return ROAD;
	interest = filter_look(&p, family);
	if (interest & FILTER_VIP)
		return plain_forward(ctx, &p, false, set, now_of(set), family);
	if (interest & FILTER_RIP)
		return plain_forward(ctx, &p, true, set, now_of(set), family);
	return ROAD;
}

/* Functions of their own, whose stack is free again for the road. */
static __noinline int plain4(CTX *ctx)
{
	return plain(ctx, FAMILY_V4);
}

static __noinline int plain6(CTX *ctx)
{
	return plain(ctx, FAMILY_V6);
}
