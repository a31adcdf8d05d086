/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The connection of a packet: found, or made, or none of ours. */
#pragma once

#include "birth.h"
#include "fwd/tunnel.h"
#include "leave.h"
#include "service.h"
#include "state.h"
#include "stats.h"

/* A packet that may begin a connection. */
static __always_inline bool pkt_begins(const struct pkt *p)
{
	if (p->quote || p->bare)
		return false;
	if (p->proto == IPPROTO_SCTP)
		return p->flags == SCTP_INIT;
	return p->proto == IPPROTO_UDP || (p->flags & (TCP_SYN | TCP_RST)) == TCP_SYN;
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
		return true;
	case METHOD_TUNNEL:
		return tunnel_supported(d);
	}
	return false;
}

/* Makes the connection of a first packet: LEAVE if no service wants it. */
static __always_inline int conn_make(const struct pkt *p, __u32 now, const __u8 family)
{
	struct settings *set = settings_get();
	struct service *s = service_find(p);
	struct birth b = {.now = now, .pkt = p, .life.flags = CONN_LIVE | CONN_INACTIVE};
	struct entry e;
	enum method method;
	struct dst *d;
	int rc;

	if (!s || !set)
		return LEAVE;
	if (!pkt_begins(p)) {
		ctx_count_left(REASON_NOT_A_START);
		return LEAVE;
	}
	rc = service_pick(s, p, &e);
	if (rc)
		return rc;
	d = dst_get(e.dst);
	if (!d)
		return -REASON_NO_DESTINATION;
	method = method_of(e.method, d);
	if (!method_supported(method, d, family))
		return -REASON_METHOD_UNSUPPORTED;
	b.life.flags |= method * CONN_METHOD;
	flow_forward(p, &b.flow, family);
	b.hash = client_hash(&b.flow);
	b.life = life_after(b.life, p, false, now, set);
	b.dst = e.dst;
	rc = family == FAMILY_V6 ? conn_birth6(&b) : conn_birth4(&b);
	if (rc == BIRTH_FULL)
		return -REASON_TABLE_FULL;
	if (rc == BIRTH_NEW) {
		dst_count(d, b.life.flags, 1);
		stats_connection(e.dst);
		count(REASON_NEW_CONNECTION);
	}
	return 0;
}

static __noinline int conn_make4(const struct pkt *p, __u32 now)
{
	return conn_make(p, now, FAMILY_V4);
}

static __noinline int conn_make6(const struct pkt *p, __u32 now)
{
	return conn_make(p, now, FAMILY_V6);
}

/* A client that opens its port again does not meet the connection before, if
 * that has ended: both sides said goodbye, or one reset it. */
static __always_inline bool conn_reopen(const struct pkt *p, struct conn_ref *ref, __u64 hash,
					const __u8 family)
{
	if (p->proto != IPPROTO_TCP || !(p->flags & TCP_SYN) ||
	    (ref->life.state != STATE_TIME_WAIT && ref->life.state != STATE_CLOSE))
		return false;
	if (conn_end(ref->conn, ref->dst, ref->life, overflow_group(hash, family)))
		count(REASON_REOPENED);
	return true;
}

/* Finds the connection, or makes it: 0 and *reply, LEAVE, or a reason. */
static __always_inline int conn_look(const struct pkt *p, __u8 interest, __u32 now,
				     struct conn_ref *ref, bool *reply, const __u8 family)
{
	struct flow f;
	__u64 hash;
	int rc;

	*reply = false;
	ref->born = false;
	if (interest & FILTER_VIP) {
		flow_forward(p, &f, family);
		hash = client_hash(&f);
		if (conn_find(&f, p, hash, now, ref, family) && !conn_reopen(p, ref, hash, family))
			return 0;
	}
	if (interest & FILTER_RIP) {
		flow_reply(p, &f, family);
		*reply = conn_find(&f, p, client_hash(&f), now, ref, family);
		if (*reply)
			return 0;
	}
	if (!(interest & FILTER_VIP))
		return LEAVE;
	rc = family == FAMILY_V6 ? conn_make6(p, now) : conn_make4(p, now);
	if (rc)
		return rc;
	ref->born = true;
	flow_forward(p, &f, family);
	return conn_open(conn_seek(&f, p, client_hash(&f), now, family), &f, p, now, ref, family)
		       ? 0 : -REASON_TABLE_FULL;
}
