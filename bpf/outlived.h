/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * When a connection has outlived itself: a packet that belongs to it is to begin
 * another. It still counts while the other is chosen for and counted: in the kernel it is
 * a timer that ends it. So XDP leaves it where there is no choice, and tc is to say so.
 * One whose template stands in a note ends before, as its note is to be the other's.
 */
#pragma once

#include "making.h"
#include "tell.h"

/* A packet by which a client opens a connection, or opens its port anew. */
static __always_inline bool pkt_opens(const struct pkt *p)
{
	if (p->quote || p->bare)
		return false;
	if (p->proto == IPPROTO_SCTP)
		return p->flags == SCTP_INIT;
	return p->proto == IPPROTO_TCP && p->flags & TCP_SYN;
}

/* Whether both sides have said goodbye, or one reset it. Mode 2 takes a goodbye for
 * both where only the client's is seen. */
static __always_inline bool conn_is_over(const struct conn_ref *ref, __u8 proto, __u32 reuse_mode)
{
	__u8 state = ref->life.state & STATE_MASK;

	if (proto == IPPROTO_SCTP)
		return state == STATE_SCTP_CLOSED;
	return state == STATE_TIME_WAIT || state == STATE_CLOSE ||
	       (reuse_mode & 2 && state == STATE_FIN_WAIT &&
		life_method(ref->life) != METHOD_MASQ && ref->conn->nexthop != NEXTHOP_ANSWERS);
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
	bool gone = !(ref->dst->flags & (DST_AVAILABLE | DST_BYPASS));
	bool idle = ref->dst->flags & DST_QUIESCENT;
	bool opens = pkt_opens(p), over = life_resets(ref->life);

	/* one with a template goes on, as in the kernel */
	if (!ref->conn->control)
		over |= conn_is_over(ref, p->proto, mode);
	if (opens && mode && over)
		return REASON_REOPENED;
	if (!gone && !idle)
		return 0;
	if (p->proto == IPPROTO_UDP && !p->quote && set->sysctl[SYSCTL_EXPIRE_UDP_ON_QUIESCENT])
		return REASON_EXPIRED;
	if (set->sysctl[SYSCTL_EXPIRE_NODEST_CONN] && !p->quote && (gone || opens))
		return REASON_EXPIRED;
	return 0;
}

/* Ends the connection that a packet shall not meet. It still counts. */
static __always_inline int conn_leave_behind(const struct pkt *p, __u32 now, const __u8 family)
{
	struct settings *set = settings_get();
	struct making *m = making_get();
	struct conn_ref ref;
	enum reason reason;
	struct flow f;
	__u64 hash;

	if (!set || !m)
		return 0;
	flow_forward(p, &f, family);
	hash = client_hash(&f);
	if (!conn_open(conn_seek(&f, p, hash, now, family), &f, p, now, &ref, family))
		return 0;
	reason = conn_outlived(p, &ref, set);
	if (!reason || !conn_part(ref.conn, ref.ends, ref.life, TELL_END, &m->remains, family))
		return 0;
	m->left = ref.life;
	m->left_dst = m->remains.conn.dst;
	m->left_group = overflow_group(hash, family);
	count(reason);
	return 0;
}

/* Functions of their own for the verifier's sake. */
__noinline int conn_leave_behind4(const struct pkt *p, __u32 now)
{
	return p ? conn_leave_behind(p, now, FAMILY_V4) : 0;
}

__noinline int conn_leave_behind6(const struct pkt *p, __u32 now)
{
	return p ? conn_leave_behind(p, now, FAMILY_V6) : 0;
}

static __always_inline void outlived_end(struct making *m, const struct pkt *p, __u32 now,
					 const __u8 family)
{
	if (!m->outlived)
		return;
	m->outlived = 0;
	if (family == FAMILY_V6)
		conn_leave_behind6(p, now);
	else
		conn_leave_behind4(p, now);
}

/* Takes it out of the counts. */
static __always_inline void outlived_uncount(struct making *m, const __u8 family)
{
	struct dst *d;

	if (!m->left.word)
		return;
	d = dst_get(m->left_dst);
	if (d)
		conn_uncount(d, m->left_dst, 0, m->left, m->left_group, family);
	m->left.word = 0;
}
