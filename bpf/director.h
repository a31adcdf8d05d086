/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The way of a packet: parse, filter, find the connection or make it, find the
 * next hop, step the state, translate, send. Functions return 0 or a negative
 * reason; director() is the one exit, which counts and tells the sender.
 */
#pragma once

#include "birth.h"
#include "filter.h"
#include "frag.h"
#include "fwd/direct.h"
#include "fwd/nat.h"
#include "fwd/tunnel.h"
#include "nexthop.h"
#include "service.h"
#include "state.h"
#include "stats.h"

/* What is not an error of ours and not ours to forward. */
#define LEAVE 1

static __always_inline void flow_forward(const struct pkt *p, struct flow *f)
{
	f->key = flow_key(p->saddr, p->sport, p->dport);
	f->vaddr = p->daddr;
	f->rport = 0;
	f->proto = p->proto;
	f->reply = false;
}

static __always_inline void flow_reply(const struct pkt *p, struct flow *f)
{
	f->key = flow_key(p->daddr, p->dport, 0);
	f->vaddr = p->saddr;
	f->rport = p->sport;
	f->proto = p->proto;
	f->reply = true;
}

/* A packet that may begin a connection. */
static __always_inline bool pkt_begins(const struct pkt *p)
{
	if (p->quote || p->later)
		return false;
	return p->proto == IPPROTO_UDP ||
	       (p->tcp_flags & (TCP_SYN | TCP_RST)) == TCP_SYN;
}

/* A server that is the director itself gets its packets as they are. */
static __always_inline enum method method_of(__u8 configured, const struct dst *d)
{
	return d->flags & DST_LOCAL ? METHOD_LOCAL : configured;
}

static __always_inline bool method_supported(__u8 configured, const struct dst *d)
{
	switch (method_of(configured, d)) {
	case METHOD_MASQ:
	case METHOD_ROUTE:
		return d->family == FAMILY_V4;
	case METHOD_LOCAL:
		return configured != METHOD_MASQ; /* its answers would not come by */
	case METHOD_TUNNEL:
		return tunnel_supported(d);
	}
	return false;
}

/* Makes the connection of a first packet: LEAVE if no service wants it. */
static __noinline int conn_make(const struct pkt *p, __u32 now)
{
	struct settings *set = settings_get();
	struct service *s = service_find(p);
	struct birth b = {.now = now, .life.flags = CONN_LIVE | CONN_INACTIVE};
	struct entry e;
	struct dst *d;
	int rc;

	if (!s || !set)
		return LEAVE;
	if (!pkt_begins(p)) {
		ctx_count_left(REASON_NOT_A_START);
		return LEAVE;
	}
	rc = service_pick(s, &e);
	if (rc)
		return rc;
	d = dst_get(e.dst);
	if (!d)
		return -REASON_NO_DESTINATION;
	if (!method_supported(e.method, d))
		return -REASON_METHOD_UNSUPPORTED;
	b.life.flags |= method_of(e.method, d) * CONN_METHOD;
	flow_forward(p, &b.flow);
	b.hash = client_hash(&b.flow);
	b.life = life_after(b.life, p, false, now, set);
	b.dst = e.dst;
	rc = conn_birth(&b);
	if (rc == BIRTH_FULL)
		return -REASON_TABLE_FULL;
	if (rc == BIRTH_NEW) {
		dst_count(d, b.life.flags, 1);
		stats_connection(e.dst);
		count(REASON_NEW_CONNECTION);
	}
	return 0;
}

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

/* Makes of the packet what its method sends. False: it could not be written. */
static __always_inline bool packet_rewrite(CTX *ctx, const struct pkt *p,
					   const struct conn_ref *ref, bool reply)
{
	struct conn4 *c = ref->conn;
	struct dst *d = ref->dst;
	struct translation t = {.source = reply};

	switch (life_method(ref->life)) {
	case METHOD_MASQ:
		t.addr = reply ? c->vaddr : d->addr.w[0];
		t.port = reply || !d->port ? c->vport : d->port;
		return nat_translate(ctx, p, &t);
	case METHOD_ROUTE:
		return ttl_decrement(ctx);
	case METHOD_TUNNEL:
		return tunnel_wrap(ctx, p, c->dst, *conn_key(c) * 0x9e3779b97f4a7c15 >> 32);
	default:
		return false;
	}
}

/* How much larger the packet becomes. */
static __always_inline __u32 method_overhead(const struct conn_ref *ref)
{
	return life_method(ref->life) == METHOD_TUNNEL ? tunnel_overhead(ref->dst) : 0;
}

/* Finds the way of a packet: 0, REASON_SLOW_PATH, LEAVE or a reason. */
static __always_inline int hop_find(CTX *ctx, struct pkt *p, struct conn_ref *ref, bool reply,
				    __u32 now, struct hop *hop)
{
	__u32 mtu = ref->dst->mtu;
	int rc;

	if (p->ttl <= 1)
		return reply ? LEAVE : -REASON_TTL_EXCEEDED; /* the kernel says so */
	rc = reply ? hop_reply(ctx, p, ref, now, hop)
		   : hop_forward(ctx, p, ref->dst, now, hop);
	if (rc)
		return reply && rc != -REASON_FORWARDING_DISABLED ? LEAVE : rc;
	if (!reply && hop_too_big(ctx, hop, p->len + method_overhead(ref), &mtu)) {
		p->mtu = mtu - method_overhead(ref);
		return -REASON_TOO_BIG;
	}
	return ctx_can_reach(ctx, hop) ? 0 : REASON_SLOW_PATH;
}

/* Steps, counts, rewrites and sends a packet of a connection. */
static __always_inline int conn_forward(CTX *ctx, struct pkt *p, struct conn_ref *ref,
					bool reply, __u32 now, const struct settings *set,
					int *verdict)
{
	__u32 dst = ref->conn->dst;
	struct hop hop = {};
	int rc;

	if (!reply && !(ref->dst->flags & DST_AVAILABLE))
		return -REASON_DESTINATION_GONE;
	if (life_method(ref->life) != METHOD_LOCAL) {
		rc = hop_find(ctx, p, ref, reply, now, &hop);
		if (rc)
			return rc;
	}
	if (!p->quote && !p->later)
		conn_step(ref, p, reply, now, set);
	if (!p->quote || !reply)
		stats_packet(dst, reply, p->len);
	if (life_method(ref->life) == METHOD_LOCAL)
		return LEAVE;
	if (!packet_rewrite(ctx, p, ref, reply))
		return -REASON_REWRITE_FAILED;
	if (hop.via) {
		rc = hop_send(ctx, &hop);
		if (rc)
			return rc;
	}
	*verdict = ctx_send(ctx, &hop);
	return 0;
}

/* A client that opens its port again does not meet the connection before, if
 * that has ended: both sides said goodbye, or one reset it. */
static __always_inline bool conn_reopen(const struct pkt *p, struct conn_ref *ref, __u64 hash)
{
	if (p->proto != IPPROTO_TCP || !(p->tcp_flags & TCP_SYN) ||
	    (ref->life.state != STATE_TIME_WAIT && ref->life.state != STATE_CLOSE))
		return false;
	if (conn_end(ref->conn, ref->dst, ref->life, overflow_group(hash)))
		count(REASON_REOPENED);
	return true;
}

/* Finds the connection, or makes it: 0 and *reply, LEAVE, or a reason. */
static __always_inline int conn_look(const struct pkt *p, __u8 interest, __u32 now,
				     struct conn_ref *ref, bool *reply)
{
	struct flow f;
	__u64 hash;
	int rc;

	*reply = false;
	if (interest & FILTER_VIP) {
		flow_forward(p, &f);
		hash = client_hash(&f);
		if (conn_find(&f, hash, now, ref) && !conn_reopen(p, ref, hash))
			return 0;
	}
	if (interest & FILTER_RIP) {
		flow_reply(p, &f);
		*reply = conn_find(&f, client_hash(&f), now, ref);
		if (*reply)
			return 0;
	}
	if (!(interest & FILTER_VIP))
		return LEAVE;
	rc = conn_make(p, now);
	if (rc)
		return rc;
	flow_forward(p, &f);
	return conn_open(conn_seek(&f, client_hash(&f), now), &f, now, ref)
		       ? 0 : -REASON_TABLE_FULL;
}

static __always_inline int packet_direct(CTX *ctx, struct pkt *p, __u8 interest, int *verdict)
{
	__u32 now = now_jiffies();
	struct settings *set = settings_get();
	struct conn_ref ref;
	bool reply;
	int rc;

	if (!set)
		return LEAVE;
	rc = conn_look(p, interest, now, &ref, &reply);
	if (rc)
		return rc;
	return conn_forward(ctx, p, &ref, reply, now, set, verdict);
}

/* What addresses and ports a packet is looked up by: its own, or those of the
 * packet that it is an ICMP error about. */
static __always_inline bool pkt_parse(CTX *ctx, struct pkt *p)
{
	if (!pkt_parse_l3(ctx, p))
		return false;
	return p->proto != IPPROTO_ICMP || (!p->fragment && pkt_parse_quote(ctx, p));
}

static __always_inline int director(CTX *ctx)
{
	struct pkt p = {};
	int verdict = CTX_PASS, rc;
	__u8 interest;

	if (!pkt_parse(ctx, &p))
		return CTX_PASS;
	interest = filter_look(&p);
	if (!interest)
		return CTX_PASS;
	if (p.later && !frag_find(&p)) {
		ctx_count_left(REASON_FRAGMENT);
		return CTX_PASS;
	}
	if (!pkt_is_whole(ctx, &p) || (!p.quote && !p.later && !pkt_parse_l4(ctx, &p))) {
		ctx_count_left(REASON_MALFORMED);
		return CTX_PASS;
	}
	if (p.fragment && !p.later)
		frag_note(&p);
	rc = packet_direct(ctx, &p, interest, &verdict);
	if (rc == REASON_SLOW_PATH)
		count(REASON_SLOW_PATH);
	if (rc >= 0)
		return verdict;
	return ctx_refuse(ctx, &p, -rc);
}
