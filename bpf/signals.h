/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * What clients' packets tell of a server, whichever way its answers go: how many of the
 * connections that it was given it has answered, how many SYNs came again, and how many
 * it refused. They are counted where a half-open connection takes a step, so that
 * packets of others cost nothing.
 *
 * A connection is answered when it is half-open no more and assured: its client has
 * acknowledged. With direct routing and tunnels that is all there is to see of an
 * answer. A refusal is the server's reset, which only masquerading shows; of the others
 * a refused connection stays unanswered.
 */
#pragma once

#include "conn.h"
#include "packet.h"
#include "stats.h"

/* After a half-open connection took a step. A function of its own, as the stack of its
 * caller is small. */
__noinline int signals_count(const struct pkt *p, __u64 life, __u64 next, __u32 dst,
			     __u32 reply)
{
	union life old = {.word = life}, l = {.word = next};
	struct stats *s = p && life_half_open(old) ? stats_get(dst) : NULL;

	if (!s)
		return 0;
	if (l.flags & ~old.flags & CONN_ASSURED)
		s->answered++;
	else if (p->proto == IPPROTO_TCP && reply && p->flags & TCP_RST)
		s->refused++;
	else if (p->proto == IPPROTO_TCP && !reply && p->flags & TCP_SYN)
		s->retried++;
	return 0;
}
