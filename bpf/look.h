/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The connection of a packet: found, or made, or none of ours. */
#pragma once

#include "birth.h"
#include "fwd/tunnel.h"
#include "leave.h"
#include "service.h"
#include "state.h"
#include "stats.h"

/* A packet by which a client opens a connection, or opens its port anew. */
static __always_inline bool pkt_opens(const struct pkt *p)
{
	if (p->quote || p->bare)
		return false;
	if (p->proto == IPPROTO_SCTP)
		return p->flags == SCTP_INIT;
	return p->proto == IPPROTO_TCP && p->flags & TCP_SYN;
}

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
	if (!p->quote)
		return life_after(l, p, false, now, set);
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
	if (!pkt_begins(p, set)) {
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
	b.life = life_first(b.life, p, now, set);
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

/* Whether both sides have said goodbye, or one reset it. Mode 2 takes a goodbye for
 * both where only the client's is seen. */
static __always_inline bool life_is_over(union life l, __u8 proto, __u32 reuse_mode)
{
	if (proto == IPPROTO_SCTP)
		return l.state == STATE_SCTP_CLOSED;
	return l.state == STATE_TIME_WAIT || l.state == STATE_CLOSE ||
	       (reuse_mode & 2 && l.state == STATE_FIN_WAIT && life_method(l) != METHOD_MASQ);
}

/*
 * Why a client's packet shall not meet the connection that it belongs to, but be as
 * if there were none: it opens its port again after the one before has ended, or
 * the destination is gone or quiescent and the settings say so. 0: it shall.
 */
static __always_inline enum reason conn_outlived(const struct pkt *p, const struct conn_ref *ref,
						 const struct settings *set)
{
	__u32 mode = set->sysctl[SYSCTL_CONN_REUSE_MODE];
	bool gone = !(ref->dst->flags & DST_AVAILABLE);
	bool idle = ref->dst->flags & DST_QUIESCENT;
	bool opens = pkt_opens(p);

	if (opens && mode && life_is_over(ref->life, p->proto, mode))
		return REASON_REOPENED;
	if (!gone && !idle)
		return 0;
	if (p->proto == IPPROTO_UDP && !p->quote && set->sysctl[SYSCTL_EXPIRE_UDP_ON_QUIESCENT])
		return REASON_EXPIRED;
	if (set->sysctl[SYSCTL_EXPIRE_NODEST_CONN] && !p->quote && (gone || opens))
		return REASON_EXPIRED;
	return 0;
}

/* Ends the connection if the packet shall not meet it. */
static __always_inline bool conn_leave_behind(const struct pkt *p, struct conn_ref *ref, __u64 hash,
					      const struct settings *set, const __u8 family)
{
	enum reason reason = conn_outlived(p, ref, set);

	if (!reason)
		return false;
	if (conn_end(ref->conn, ref->dst, ref->life, overflow_group(hash, family)))
		count(reason);
	return true;
}

/* Finds the connection, or makes it: 0 and *reply, LEAVE, or a reason. */
static __always_inline int conn_look(const struct pkt *p, __u8 interest, __u32 now,
				     const struct settings *set, struct conn_ref *ref, bool *reply,
				     const __u8 family)
{
	struct flow f;
	__u64 hash;
	int rc;

	*reply = false;
	ref->born = false;
	if (interest & FILTER_VIP) {
		flow_forward(p, &f, family);
		hash = client_hash(&f);
		if (conn_find(&f, p, hash, now, ref, family) &&
		    !conn_leave_behind(p, ref, hash, set, family))
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
