/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Connections of TCP that an operator ends with a reset. The table knows no sequence
 * numbers; so the connection stays for a while, in a state of its own, and the next
 * segment tells which number its ends expect:
 *  - One from the client is answered with a reset (RFC 9293, section 3.10.7.1), and if
 *    the server is to be told, it goes on to it as a reset.
 *  - One from a masqueraded server goes on to the client as a reset, and if the server
 *    is to be told, it is answered with one.
 * A client that says nothing is asked by user space, with a segment that is not
 * acceptable. What goes on comes in once more, and being a reset takes the way of the
 * connection's packets. XDP leaves all of it to tc.
 */
#pragma once

#include "conn.h"
#include "work.h"

enum reset {
	RESET_BACK = 1, /* the segment is answered with a reset */
	RESET_ON = 2,	/* it becomes one on its way */
};

/* Whether a packet of a connection that is reset goes its way. If not, w->reset says
 * what becomes of it; of a fragment, nothing. */
static __always_inline bool reset_passes(struct work *w, const struct conn_ref *ref, __u32 now)
{
	bool both = (ref->life.state & STATE_MASK) == STATE_RESET_BOTH;
	const struct pkt *p = &w->pkt;
	union life next = ref->life;

	w->reset = 0;
	if (p->bare || p->fragment)
		return false;
	next.expires = now + RESET_LINGER_SECONDS * conf_hz;
	if (!CTX_IS_XDP && (__s32)(ref->life.expires - next.expires) > 0)
		CAS(conn_life(ref->conn), ref->life.word, next.word);
	if (p->flags & TCP_RST) /* the client's is none of a server's that is not told */
		return p->reply || both;
	w->reset = p->reply || both ? RESET_ON : 0;
	w->reset |= !p->reply || both ? RESET_BACK : 0;
	return false;
}
