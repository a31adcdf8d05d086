/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * The way of a packet: parse, filter, find the connection or make it, find the
 * next hop, step the state, translate, send. Functions return 0 or a negative
 * reason; director() is the one exit that counts.
 */
#pragma once

#include "birth.h"
#include "filter.h"
#include "fwd/nat.h"
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
	return p->proto == IPPROTO_UDP ||
	       (p->tcp_flags & (TCP_SYN | TCP_RST)) == TCP_SYN;
}

/* A client that opens its port again does not meet the connection before. */
static __always_inline bool conn_reopened(const struct pkt *p, const struct found *found)
{
	return p->proto == IPPROTO_TCP && (p->tcp_flags & TCP_SYN) &&
	       found->life.state == STATE_TIME_WAIT;
}

/* Makes the connection of a first packet: LEAVE if no service wants it. */
static __noinline int conn_make(const struct pkt *p, struct birth *b)
{
	struct settings *set = settings_get();
	struct service *s = service_find(p);
	struct entry e;
	struct dst *d;
	int rc;

	if (!s || !set)
		return LEAVE;
	if (!pkt_begins(p)) {
		count(REASON_NOT_A_START);
		return LEAVE;
	}
	rc = service_pick(s, &e);
	if (rc)
		return rc;
	if (e.method != METHOD_MASQ)
		return -REASON_METHOD_UNSUPPORTED;
	d = dst_get(e.dst);
	if (!d)
		return -REASON_NO_DESTINATION;
	b->life.word = 0;
	b->life.flags = CONN_LIVE | CONN_INACTIVE;
	b->life = life_after(b->life, p, false, b->now, set);
	b->dst = e.dst;
	rc = conn_birth(b);
	if (rc == BIRTH_FULL)
		return -REASON_TABLE_FULL;
	if (rc == BIRTH_NEW) {
		dst_count(d, b->life.flags, 1);
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

/* Steps, counts, translates and sends a packet of a connection. */
static __always_inline int conn_forward(CTX *ctx, const struct pkt *p, struct conn_ref *ref,
					bool reply, __u32 now, const struct settings *set,
					int *verdict)
{
	struct conn4 *c = ref->conn;
	struct dst *d = ref->dst;
	struct translation t = {.source = reply};
	struct hop hop = {};
	int rc;

	if (!reply && !(d->flags & DST_AVAILABLE))
		return -REASON_DESTINATION_GONE;
	if (p->ttl <= 1)
		return -REASON_TTL_EXCEEDED;
	rc = reply ? hop_reply(ctx, p, ref, now, &hop) : hop_forward(ctx, p, d, now, &hop);
	if (rc)
		return rc;
	if (!ctx_can_reach(ctx, &hop))
		return REASON_SLOW_PATH;
	conn_step(ref, p, reply, now, set);
	stats_packet(c->dst, reply, p->len);
	t.addr = reply ? c->vaddr : d->addr.w[0];
	t.port = reply || !d->port ? c->vport : d->port;
	if (hop.via) {
		rc = hop_send(ctx, &hop);
		if (rc)
			return rc;
	}
	if (!nat_translate(ctx, p, &t))
		return -REASON_REWRITE_FAILED;
	*verdict = ctx_send(ctx, &hop);
	return 0;
}

static __always_inline bool conn_reopen(const struct pkt *p, const struct found *found,
					__u64 hash)
{
	struct conn_ref ref;

	if (!conn_reopened(p, found) || !conn_open(found, &ref))
		return false;
	if (conn_end(ref.conn, ref.dst, ref.life, overflow_group(hash)))
		count(REASON_REOPENED);
	return true;
}

/* Finds the connection, or makes it: 0 and *reply, LEAVE, or a reason. */
static __always_inline int conn_look(const struct pkt *p, __u8 interest, __u32 now,
				     struct found *found, bool *reply)
{
	struct birth b = {.now = now};
	int rc;

	if (interest & FILTER_VIP) {
		flow_forward(p, &b.flow);
		b.hash = client_hash(&b.flow);
		if (conn_find(&b.flow, b.hash, now, found) && !conn_reopen(p, found, b.hash))
			return 0;
	}
	if (interest & FILTER_RIP) {
		flow_reply(p, &b.flow);
		*reply = conn_find(&b.flow, client_hash(&b.flow), now, found);
		if (*reply)
			return 0;
		flow_forward(p, &b.flow);
	}
	if (!(interest & FILTER_VIP))
		return LEAVE;
	rc = conn_make(p, &b);
	if (rc)
		return rc;
	return conn_find(&b.flow, b.hash, now, found) ? 0 : -REASON_TABLE_FULL;
}

static __always_inline int packet_direct(CTX *ctx, struct pkt *p, __u8 interest, int *verdict)
{
	__u32 now = now_jiffies();
	struct settings *set = settings_get();
	struct found found = {};
	struct conn_ref ref;
	bool reply = false;
	int rc;

	if (!set)
		return LEAVE;
	rc = conn_look(p, interest, now, &found, &reply);
	if (rc)
		return rc;
	if (!conn_open(&found, &ref))
		return LEAVE;
	return conn_forward(ctx, p, &ref, reply, now, set, verdict);
}

static __always_inline int director(CTX *ctx)
{
	struct pkt p = {};
	int verdict = CTX_PASS, rc;
	__u8 interest;

	if (!pkt_parse_l3(ctx, &p))
		return CTX_PASS;
	interest = filter_look(&p);
	if (!interest)
		return CTX_PASS;
	if (p.fragment) {
		count(REASON_FRAGMENT);
		return CTX_PASS;
	}
	if (!pkt_parse_l4(ctx, &p)) {
		count(REASON_MALFORMED);
		return CTX_PASS;
	}
	rc = packet_direct(ctx, &p, interest, &verdict);
	if (rc == REASON_SLOW_PATH)
		count(REASON_SLOW_PATH);
	if (rc >= 0)
		return verdict;
	count(-rc);
	return CTX_DROP;
}
