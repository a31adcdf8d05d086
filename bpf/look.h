/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The connection of a packet: found, or made, or none of ours. */
#pragma once

#include "birth.h"
#include "bypass.h"
#include "defence.h"
#include "flood.h"
#include "leave.h"
#include "one_packet.h"
#include "outlived.h"
#include "persist.h"
#include "probe.h"
#include "retire.h"
#include "service.h"
#include "state.h"
#include "stats.h"

/* A packet that may begin a connection. */
static __always_inline bool pkt_begins(const struct pkt *p, const struct settings *set)
{
	if (p->quote) /* an ICMP error, by the packet it carries */
		return set->sysctl[SYSCTL_SCHEDULE_ICMP];
	if (p->bare)
		return false;
	switch (p->proto) {
	case IPPROTO_TCP:
		return !(p->flags & TCP_RST) && (p->flags & TCP_SYN || set->sysctl[SYSCTL_SLOPPY_TCP]);
	case IPPROTO_SCTP:
		return p->flags == SCTP_INIT ||
		       (set->sysctl[SYSCTL_SLOPPY_SCTP] && p->flags != SCTP_ABORT);
	}
	return true;
}

#define UNSTEPPED_SECONDS 3 /* how long a connection stays that no packet of it stepped */

/* The life that a first packet gives. An ICMP error steps nothing. */
static __always_inline union life life_first(union life l, const struct pkt *p, __u32 now,
					     const struct settings *set)
{
	if (!p->quote) {
		l = life_after(l, p, way_first(l), now, set);
		if (set->sysctl[SYSCTL_DROP_ENTRY])
			l.state |= PACKET_ONE; /* which asks how many there were */
		return l;
	}
	l.state = p->proto == IPPROTO_UDP ? STATE_UDP : STATE_NONE;
	l.expires = now + UNSTEPPED_SECONDS * conf_hz;
	return l;
}

/* A server that is the director itself gets its packets as they are, or
 * translated. */
static __always_inline enum method method_of(__u8 configured, const struct dst *d)
{
	return d->flags & DST_LOCAL && configured != METHOD_MASQ ? METHOD_LOCAL : configured;
}

static __always_inline bool method_supported(__u8 method, const struct dst *d, __u8 family)
{
	switch (method) {
	case METHOD_MASQ:
	case METHOD_ROUTE:
		return d->family == family;
	case METHOD_LOCAL:
	case METHOD_TUNNEL:
		return true;
	}
	return false;
}

/* A connection that was not born holds no template. */
static __always_inline void birth_failed(struct making *m, const struct pkt *p,
					 const __u8 family)
{
	const struct birth *b = &m->conn;
	struct conn *c = &m->remains.conn;

	c->control = b->control;
	if (!b->control)
		return;
	*conn_key(c) = b->flow.key;
	c->vaddr = b->flow.vaddr;
	c->dst = b->dst;
	c->proto = b->flow.proto;
	conn_tell(c, &p->saddr, TELL_END, family);
}

/* Brings the connection to life that was chosen: 0, ONE_PACKET or a reason. */
static __always_inline int conn_bear(struct making *m, const struct pkt *p,
				     const struct settings *set, const __u8 family)
{
	const struct choice *c = &m->choice;
	struct dst *d = dst_get(c->dst);
	struct birth *b = &m->conn;
	enum method method;
	int rc;

	if (!d)
		return -REASON_NO_DESTINATION;
	method = method_of(c->method, d);
	if (!method_supported(method, d, family))
		return -REASON_METHOD_UNSUPPORTED;
	b->life.word = 0;
	b->life.flags = CONN_LIVE | CONN_INACTIVE | method * CONN_METHOD | c->flags;
	b->life = life_first(b->life, p, b->now, set);
	b->life.expires = probe_expires(b->nexthop, b->life.expires, b->now);
	if (c->one_packet)
		rc = one_packet_make(b, p, d, family);
	else
		rc = conn_birth(b, p, family);
	if (rc == BIRTH_FULL && room_made(b, family))
		rc = conn_birth(b, p, family);
	switch (rc) {
	case BIRTH_FULL:
		return -REASON_TABLE_FULL;
	case BIRTH_EXISTS:
		birth_failed(m, p, family); /* another CPU's is the one that is held */
		b->slot = NO_SLOT;
		return 0;
	case BIRTH_NEW:
		dst_count(d, b->life.flags, 1);
		half_count(b->life, 1, family);
		dst_came(b->dst, d);
		count(REASON_NEW_CONNECTION);
	}
	stats_connection(b->dst);
	return rc == ONE_PACKET ? rc : 0;
}

/* Chooses whom a first packet is given to: 0, or what becomes of it. */
static __always_inline int conn_choose(CTX *ctx, const struct pkt *p, struct service *s,
				       struct making *m, const struct settings *set, __u32 now,
				       const __u8 family)
{
	int rc;

	if (packet_dropped())
		return -REASON_DROPPED_PACKET;
	if (!p->quote && p->sport == bpf_htons(FTP_DATA_PORT)) {
		ctx_count_left(REASON_NOT_A_START);
		rc = LEAVE; /* from a server, whose connection is known */
	} else {
		rc = service_choose(ctx, p, s, m, now, family);
	}
	if (rc && CTX_IS_XDP)
		packet_undropped();
	if (rc == -REASON_NO_DESTINATION && bypass_wanted(ctx, p, s, set)) {
		choice_forget(m, p, family);
		rc = bypass_choose(&m->choice, family);
	}
	return rc;
}

/* Makes the connection of a first packet: LEAVE if no service wants it. */
static __always_inline int conn_make(CTX *ctx, const struct pkt *p, __u32 now, const __u8 family)
{
	struct settings *set = settings_get();
	struct service *s = service_get(service_find(p));
	struct making *m = making_get();
	struct birth *b;
	int rc;

	KEEP_POINTER(ctx); /* XDP has no use for it, but the verifier wants it passed */
	if (!s || !set || !m)
		return LEAVE;
	if (!pkt_begins(p, set)) {
		ctx_count_left(REASON_NOT_A_START);
		return LEAVE;
	}
	if (m->outlived == OUTLIVED_NOTED)
		outlived_end(m, p, now, family);
	m->choice.control = 0;
	rc = pkt_is_probe(p) ? probe_choose(p, s, &m->choice)
			     : conn_choose(ctx, p, s, m, set, now, family);
	if (rc) {
		outlived_uncount(m, family);
		choice_forget(m, p, family);
		return rc;
	}
	outlived_end(m, p, now, family);
	b = &m->conn;
	b->now = now;
	flow_forward(p, &b->flow, family);
	b->hash = client_hash(&b->flow);
	b->dst = m->choice.dst;
	b->control = m->choice.control;
	b->nexthop = pkt_is_probe(p) ? NEXTHOP_PROBE : p->home ? NEXTHOP_HOME : 0;
	b->nexthop_stamp = 0;
	rc = conn_bear(m, p, set, family);
	outlived_uncount(m, family);
	if (rc < 0) {
		birth_failed(m, p, family);
		leash_forget(&m->remains, family);
	}
	return rc;
}

__noinline int conn_make4(CTX *ctx, const struct pkt *p, __u32 now)
{
	return p ? conn_make(ctx, p, now, FAMILY_V4) : LEAVE;
}

__noinline int conn_make6(CTX *ctx, const struct pkt *p, __u32 now)
{
	return p ? conn_make(ctx, p, now, FAMILY_V6) : LEAVE;
}

/* Finds the connection, or makes it: 0, LEAVE, or a reason. */
static __always_inline int conn_look(CTX *ctx, struct pkt *p, __u8 interest, __u32 now,
				     const struct settings *set, struct conn_ref *ref,
				     const __u8 family)
{
	enum outlived outlived = OUTLIVED_NONE;
	struct making *m;
	struct flow f;
	__u32 slot;
	int rc;

	p->reply = false;
	if (interest & FILTER_VIP) {
		flow_forward(p, &f, family);
		if (conn_find(&f, p, client_hash(&f), now, ref, family)) {
			if (!conn_outlived(p, ref, set))
				return 0;
			outlived = ref->conn->control == CONTROL_NOTED ? OUTLIVED_NOTED
								       : OUTLIVED_PLAIN;
		}
	}
	if (interest & (FILTER_RIP | FILTER_ANSWER) && !outlived) {
		flow_reply(p, &f, family);
		p->reply = conn_find(&f, p, client_hash(&f), now, ref, family);
		if (p->reply)
			return 0;
	}
	if (set->retired)
		return packet_retired(p, outlived, now, family);
	if (!(interest & FILTER_VIP))
		return LEAVE;
	m = making_get();
	if (!m)
		return LEAVE;
	m->outlived = outlived;
	m->left.word = 0;
	rc = family == FAMILY_V6 ? conn_make6(ctx, p, now) : conn_make4(ctx, p, now);
	if (rc && !CTX_IS_XDP) { /* whose packet tc sees again */
		outlived_end(m, p, now, family);
		outlived_uncount(m, family);
	}
	if (rc && rc != ONE_PACKET)
		return rc;
	p->born = true;
	flow_forward(p, &f, family);
	slot = rc ? one_packet_bucket(family) * SLOTS_PER_BUCKET : m->conn.slot;
	if (slot == NO_SLOT)
		slot = conn_seek(&f, p, client_hash(&f), now, family);
	if (!conn_open(slot, &f, p, now, ref, family))
		return -REASON_TABLE_FULL;
	half_came(slot, ref->life, family);
	if (ref->life.flags & CONN_ASSURED)
		conn_assure(ref, family);
	return 0;
}
